// SPDX-License-Identifier: Apache-2.0
// db/migration_turn.h - one at a time changes the schema, on whichever node of a cluster it is (MySQL; SQLite has its write lock).
//
// Owns     a session, a thread that gives a sign of life through it, and while it holds it the row of the table schema_turn.
// Thread   take(), held() and the destructor: the one that migrates.
// Bounded  waits for as long as another one migrates and shows life; take() of a turn whose holder died takes `silent_polls` of a
//          fifth of a second; of a server that does not answer, `unheard_polls` of it in a row.
// Time     no clock is compared with another: a holder counts up, and who waits looks whether the count still moves. Nodes whose
//          clocks are minutes apart do not matter.
// Fails    Unavailable: the server is, for longer than that.
//
// On Galera a change of the schema stops every node for as long as it takes, and who waits for it is answered by nobody meanwhile.
// That is neither a dead server nor a dead holder: the silence is counted from the next answer on.
//
// Server locks (GET_LOCK, LOCK TABLES) are a node's own: on Galera three processes hold the same one. A row that was inserted is
// everybody's, and of two that insert it at once one is refused when it commits.
//
// Worst case: a holder that was frozen, or cut off from its cluster, for longer than the silence goes on with the statement it was
// about to send while another one has the turn. Every statement of a step may be done twice (migrations.h), so nothing comes of it,
// and before its next step it sees that the turn is gone.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/pinned.h"
#include "core/result.h"
#include "db/sql.h"

namespace watchwheel::db {

class MigrationTurn : core::Pinned {
 public:
  struct Pace {
    std::chrono::milliseconds beat{2000};  // How often the holder counts up.
    int silent_polls = 100;                // Fifths of a second without it: the holder is dead.
    int unheard_polls = 100;  // Each may take as long as the session waits for an answer.
  };

  // Waits until nobody else has it. `session` is used for nothing else.
  [[nodiscard]] static core::Result<std::unique_ptr<MigrationTurn>> take(
      std::unique_ptr<Connection> session, Pace pace);
  // Gives it back.
  ~MigrationTurn();

  // False: another one has taken it, for too long nothing was heard from here.
  [[nodiscard]] bool held() const { return held_.load(); }

 private:
  struct Seen {
    std::string holder;
    std::int64_t beat = -1;
    friend bool operator==(const Seen&, const Seen&) = default;
  };

  // What was seen of another one's turn while we wait.
  struct Watch {
    bool has_table = false;
    Seen last;
    int silent = 0;
  };

  MigrationTurn(std::unique_ptr<Connection> session, Pace pace, std::string name);
  [[nodiscard]] core::Result<void> wait_for_it();
  [[nodiscard]] core::Result<bool> poll(Watch& watch);
  void pause();
  [[nodiscard]] core::Result<Seen> look();
  [[nodiscard]] core::Result<bool> changed(Query& query);
  [[nodiscard]] core::Result<bool> insert();
  [[nodiscard]] core::Result<bool> inherit(const Seen& from);
  void start();
  void count_up() noexcept;

  const std::unique_ptr<Connection> session_;  // The thread's, once it runs.
  const Pace pace_;
  const std::string name_;
  std::atomic<bool> held_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // Guarded by mutex_.
  std::thread thread_;
};

}  // namespace watchwheel::db

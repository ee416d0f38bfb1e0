// SPDX-License-Identifier: Apache-2.0
// support/galera.h - a Galera cluster of three MariaDB servers of a test's own, whose nodes can be killed, frozen and brought back.
//
// Owns     three processes on three loopback addresses and their directories; all gone with the object. A node ends also when the
//          thread that started it ends, so start() belongs to a thread that outlives what the node is needed for.
// Thread   the test's; kill(), pause() and resume() any.
// Bounded  kReady for a node to come up.
// Fails    by exception, with what the node wrote: a machine that cannot run a cluster cannot run the test.
// Cost     about 5 s for the first cluster of a process, 3 s for another one, 2 s for a node that comes back; 100 MB a node.
//
// A node takes over what it lacks from another one's memory of the last writes (an incremental transfer, 64 MB), never by a copy
// of all files: nothing is needed beside the server, and a node that was away for too long is a failure and not a long wait.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "support/child_process.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {

class Galera : core::Pinned {
 public:
  static constexpr std::size_t kNodes = 3;
  static constexpr core::Duration kReady = std::chrono::seconds{60};
  // How long the others wait for a node that says nothing, before they go on without it: so long a write may take meanwhile.
  static constexpr core::Duration kSuspected = std::chrono::seconds{2};

  // `options` go last on every node's command line.
  explicit Galera(std::vector<std::string> options = {});
  ~Galera();

  // "mysql://root@A,B,C/database", beginning with the node `first`. Root has no password, as in mariadb.h.
  [[nodiscard]] std::string url(const std::string& database, std::size_t first = 0) const;
  // One node's alone.
  [[nodiscard]] std::string url_of(std::size_t node, const std::string& database) const;
  // Of the port 3306.
  [[nodiscard]] std::string address(std::size_t node) const;

  [[nodiscard]] pid_t pid(std::size_t node) const { return nodes_.at(node).process->pid(); }

  void kill(std::size_t node);    // SIGKILL. It has ended when this returns.
  void pause(std::size_t node);   // SIGSTOP.
  void resume(std::size_t node);  // SIGCONT.
  // After kill(): returns when the node serves again, with all that the others have. After all were killed the first one started
  // is told that it is the newest, so that must be so.
  void start(std::size_t node);

  // Whether the node says that it serves. Waits for it 3 s at most.
  [[nodiscard]] bool serves(std::size_t node) const;
  // How many nodes the node sees, itself included; 0 when it does not answer or has no majority.
  [[nodiscard]] int sees(std::size_t node) const;
  // What the nodes wrote, the end of it: for a test that failed.
  [[nodiscard]] std::string logs() const;

 private:
  struct Node {
    std::unique_ptr<TempDir> dir;
    std::unique_ptr<ChildProcess> process;
  };

  [[nodiscard]] std::vector<std::string> command(std::size_t node) const;
  void start_once(std::size_t node);
  void launch(std::size_t node, std::vector<std::string> last_words);
  [[nodiscard]] std::string status(std::size_t node, const std::string& name) const;
  [[nodiscard]] std::string recovered_position(std::size_t node) const;

  const std::vector<std::string> options_;
  std::string network_;  // "127.x.y.": the nodes are .1, .2 and .3 of it.
  TempDir transfer_;     // The program that stands for a state transfer, and what it leaves.
  std::array<Node, kNodes> nodes_;
};

}  // namespace watchwheel::testing

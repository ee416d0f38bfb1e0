// SPDX-License-Identifier: Apache-2.0
// support/real_server.h - a server as its makers ship it, run by a test from files of its own on loopback ports of its own.
//
// Owns     one process in the foreground and its directory; both are gone with the object, the process also when the test's
//          thread dies first.
// Thread   the test's.
// Bounded  kTries starts (another process may take a port that was free), 20 s until it answers.
// Fails    by exception, with what the server wrote: a machine without the program cannot run the test, and says so.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/pinned.h"
#include "support/child_process.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {

// The full path of a server's program, which a user's PATH may not know ("/usr/sbin/nginx"). Throws when it is not there.
[[nodiscard]] std::string server_program(const std::string& name);

// The words that stand before a server's own on its command line: it ends when the thread that started it does. As root, and where
// it is asked for, it runs as the user nobody, who is given `folder`: at once and not by the server itself, for who changes its user
// forgets whose death ends it.
[[nodiscard]] std::vector<std::string> server_words(const std::string& folder, bool as_nobody);

class RealServer : core::Pinned {
 public:
  static constexpr int kTries = 8;
  using Ports = std::vector<int>;

  struct Recipe {
    std::string name;       // For messages.
    std::size_t ports = 1;  // How many it needs.
    // Writes its files (again at each try) and gives its command line.
    std::function<std::vector<std::string>(const TempDir& dir, const Ports& ports)> prepare;
    // As root it runs as the user nobody, who gets its files.
    bool as_nobody = false;
    // True once it answers, asked when it listens on all its ports (TCP). Empty: then it does.
    std::function<bool(const Ports& ports)> answers = {};
  };

  explicit RealServer(const Recipe& recipe);
  ~RealServer();

  [[nodiscard]] int port(std::size_t index = 0) const { return ports_.at(index); }
  [[nodiscard]] const TempDir& dir() const { return *dir_; }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }

  // SIGKILL. It has ended when this returns.
  void kill();
  // After kill(): the same command on the same files and ports. Throws when it does not answer.
  void start_again();

 private:
  // "" when it answers, else why it does not.
  [[nodiscard]] std::string try_start(const Recipe& recipe);
  [[nodiscard]] std::string launch();

  std::unique_ptr<TempDir> dir_;
  Ports ports_;
  std::vector<std::string> argv_;
  std::function<bool(const Ports& ports)> answers_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace watchwheel::testing

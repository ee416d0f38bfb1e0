// SPDX-License-Identifier: Apache-2.0
// One of several processes that a test has on one store.
#include <csignal>
#include <string>
#include <vector>

#include "support/sender_process.h"

int main(int argc, char** argv) {
  using namespace watchwheel::testing;
  std::signal(SIGPIPE, SIG_IGN);
  return run(task_of(std::vector<std::string>(argv + 1, argv + argc)));
}

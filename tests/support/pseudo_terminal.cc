// SPDX-License-Identifier: Apache-2.0
#include "support/pseudo_terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "core/ensure.h"

extern char** environ;

namespace watchwheel::testing {
namespace {

using namespace std::chrono_literals;

constexpr core::Duration kPoll = 20ms;

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

}  // namespace

PseudoTerminal::PseudoTerminal(const std::vector<std::string>& argv, const Settings& settings) {
  main_fd_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ENSURE(main_fd_ >= 0 && ::grantpt(main_fd_) == 0 && ::unlockpt(main_fd_) == 0, "no terminal");
  std::array<char, 128> name{};
  ENSURE(::ptsname_r(main_fd_, name.data(), name.size()) == 0, "a terminal without a name");
  terminal_fd_ = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  ENSURE(terminal_fd_ >= 0, "the terminal cannot be opened");
  resize(settings.columns, settings.rows);
  const int out_fd =
      settings.out_file.empty()
          ? terminal_fd_
          : ::open(settings.out_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ENSURE(out_fd >= 0, "cannot write " + settings.out_file);

  std::vector<std::string> environment;
  for (char** one = environ; *one != nullptr; ++one) environment.emplace_back(*one);
  // Later ones would lose against earlier ones of the same name.
  for (const std::string& one : settings.environment) {
    const std::string start = one.substr(0, one.find('=') + 1);
    std::erase_if(environment, [&](const std::string& other) { return other.starts_with(start); });
    environment.push_back(one);
  }
  const std::vector<char*> arguments = pointers(argv);
  const std::vector<char*> variables = pointers(environment);
  pid_ = ::fork();
  ENSURE(pid_ >= 0, "fork");
  if (pid_ == 0) {  // Only what is safe after a fork beside threads.
    ::setsid();
    ::ioctl(terminal_fd_, TIOCSCTTY, 0);
    ::dup2(terminal_fd_, STDIN_FILENO);
    ::dup2(out_fd, STDOUT_FILENO);
    ::dup2(terminal_fd_, STDERR_FILENO);
    ::close_range(
        3, ~0U,
        0);  // Whatever the test has open: a listener's socket would go on living in the child.
    ::execve(arguments[0], arguments.data(), variables.data());
    ::_exit(127);
  }
  if (out_fd != terminal_fd_) ::close(out_fd);
}

PseudoTerminal::~PseudoTerminal() {
  if (!status_) {
    signal(SIGKILL);
    (void)wait(10s);
  }
  ::close(terminal_fd_);
  ::close(main_fd_);
}

bool PseudoTerminal::read_some() {
  pollfd ready{main_fd_, POLLIN, 0};
  const int ms = static_cast<int>(core::duration_cast<std::chrono::milliseconds>(kPoll).count());
  if (::poll(&ready, 1, ms) <= 0) return false;
  std::array<char, 65536> bytes{};
  const ssize_t got = ::read(main_fd_, bytes.data(), bytes.size());
  if (got <= 0) return false;
  seen_.append(bytes.data(), static_cast<std::size_t>(got));
  return true;
}

bool PseudoTerminal::shows(std::string_view wanted, std::size_t from, core::Duration patience) {
  const core::SystemClock clock;
  const core::SteadyTime end = clock.steady() + patience;
  for (;;) {
    const bool more = read_some();
    if (seen_.find(wanted, from) != std::string::npos) return true;
    if (!more && (status_ || clock.steady() >= end)) return false;
    if (!status_) (void)wait(core::Duration::zero());
  }
}

std::optional<int> PseudoTerminal::wait(core::Duration patience) {
  const core::SystemClock clock;
  const core::SteadyTime end = clock.steady() + patience;
  while (!status_) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      while (read_some()) {
      }
      break;
    }
    if (clock.steady() >= end) break;
    read_some();  // A program that writes to a full terminal would wait for us.
  }
  return status_;
}

void PseudoTerminal::type(std::string_view keys) const {
  ENSURE(::write(main_fd_, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()),
         "keys could not be typed");
}

void PseudoTerminal::resize(unsigned short columns, unsigned short rows) const {
  winsize size{};
  size.ws_col = columns;
  size.ws_row = rows;
  ENSURE(::ioctl(main_fd_, TIOCSWINSZ, &size) == 0, "a terminal without a size");
}

void PseudoTerminal::signal(int number) const {
  if (pid_ > 0 && !status_) ::kill(pid_, number);
}

termios PseudoTerminal::settings() const {
  termios settings{};
  ENSURE(::tcgetattr(terminal_fd_, &settings) == 0, "a terminal without settings");
  return settings;
}

}  // namespace watchwheel::testing

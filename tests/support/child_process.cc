// SPDX-License-Identifier: Apache-2.0
#include "support/child_process.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <random>

#include "core/ensure.h"

extern char** environ;

namespace watchwheel::testing {
namespace {

// Files in memory instead of pipes: a child that writes much never waits for a test that does not read.
int memory_file(const char* name, std::string_view content) {
  const int fd = memfd_create(name, MFD_CLOEXEC);
  ENSURE(fd >= 0, "memfd_create");
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    ENSURE(n > 0, "write to memory");
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  ENSURE(lseek(fd, 0, SEEK_SET) == 0, "lseek");
  return fd;
}

std::string read_all(int fd) {
  std::string out;
  char buffer[65536];
  off_t at = 0;
  for (ssize_t n = 0; (n = pread(fd, buffer, sizeof buffer, at)) > 0; at += n) {
    out.append(buffer, static_cast<std::size_t>(n));
  }
  return out;
}

// Below those that Linux gives to outgoing connections: a client must not take one between choice and use. And below those that
// tools/bench/rig chooses from.
constexpr int kPortMin = 10'000;
constexpr int kPortMax = 19'999;

// Nobody has it, at any address of either family.
bool is_unused(int port, int type) {
  const auto number = htons(static_cast<std::uint16_t>(port));
  int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
  if (fd < 0) {  // A machine without IPv6.
    fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    ENSURE(fd >= 0, "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = number;
    const bool unused = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    return unused;
  }
  const int off = 0;
  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = number;
  const bool unused = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return unused;
}

// Other test programs choose at the same time: whoever holds the name has the port, until this process ends. Such names are
// shared by exactly those that share ports (one network namespace), and nothing is left behind.
bool reserve(int port) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ENSURE(fd >= 0, "socket");
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string text = "watchwheel-test-port-" + std::to_string(port);
  std::memcpy(name.sun_path + 1, text.data(), text.size());  // Abstract: its first byte is 0.
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  if (bind(fd, reinterpret_cast<sockaddr*>(&name), size) == 0) return true;
  close(fd);
  return false;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& argv, std::string_view input)
    : out_fd_(memory_file("out", {})), err_fd_(memory_file("err", {})) {
  const int in_fd = memory_file("in", input);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in_fd, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out_fd_, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err_fd_, STDERR_FILENO);

  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  const int failed = posix_spawnp(&pid_, args[0], &actions, nullptr, args.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in_fd);
  if (failed != 0) {
    pid_ = -1;
    status_ = 127;
    return;
  }
  // Debian 12 declares pidfd_open without C linkage.
  pid_fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  ENSURE(pid_fd_ >= 0, "pidfd_open");
}

ChildProcess::~ChildProcess() {
  stop();
  close(out_fd_);
  close(err_fd_);
}

bool ChildProcess::runs_for(core::Duration patience) {
  if (pid_ < 0) return false;
  pollfd ended{.fd = pid_fd_, .events = POLLIN, .revents = 0};
  const int ms = static_cast<int>(core::duration_cast<std::chrono::milliseconds>(patience).count());
  if (poll(&ended, 1, ms) == 0) return true;
  wait_status();
  return false;
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0) kill(pid_, number);
}

std::optional<int> ChildProcess::wait(core::Duration patience) {
  if (runs_for(patience)) return std::nullopt;
  return status_;
}

int ChildProcess::stop(core::Duration patience) {
  if (pid_ < 0) return status_;
  kill(pid_, SIGTERM);
  if (runs_for(patience)) {
    kill(pid_, SIGKILL);
    wait_status();
  }
  return status_;
}

int ChildProcess::wait_status() {
  int raw = 0;
  ENSURE(waitpid(pid_, &raw, 0) == pid_, "waitpid");
  status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  close(pid_fd_);
  pid_ = -1;
  return status_;
}

std::string ChildProcess::out() const {
  return read_all(out_fd_);
}
std::string ChildProcess::err() const {
  return read_all(err_fd_);
}

Finished run_program(const std::vector<std::string>& argv, std::string_view input,
                     core::Duration timeout) {
  ChildProcess child(argv, input);
  (void)child.runs_for(timeout);
  const int status = child.stop(core::Duration{});
  return {status, child.out(), child.err()};
}

int free_port() {
  static thread_local std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<int> ports(kPortMin, kPortMax);
  for (int i = 0; i < 1000; ++i) {
    const int port = ports(random);
    if (is_unused(port, SOCK_STREAM) && is_unused(port, SOCK_DGRAM) && reserve(port)) return port;
  }
  ENSURE(false, "no port is free");
  return 0;
}

}  // namespace watchwheel::testing

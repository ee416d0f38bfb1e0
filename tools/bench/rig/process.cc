// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace watchwheel::rig {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void become(const std::vector<std::string>& words, const std::string& out_file,
                         const std::string& err_file) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  const int out = ::open(out_file.c_str(), kFlags, 0644);
  const int err = ::open(err_file.c_str(), kFlags, 0644);
  if (out >= 0) ::dup2(out, STDOUT_FILENO);
  if (err >= 0) ::dup2(err, STDERR_FILENO);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

// User and system time of a process or a thread, from its stat file.
double cpu_from(const std::string& stat) {
  const std::size_t end = stat.rfind(')');
  if (end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

Child::Child(const std::vector<std::string>& words, const std::string& out_file,
             const std::string& err_file) {
  write_text(out_file, "");  // So that nobody reads what an earlier one said.
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot start " + words.front());
  if (pid_ == 0) become(words, out_file, err_file);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, -1);
    status_ = other.status_;
  }
  return *this;
}

bool Child::is_running() {
  return pid_ > 0 && wait_for(0ms) == -1;
}

int Child::wait_for(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (pid_ > 0) {
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, WNOHANG);
    if (got == pid_) {
      pid_ = -1;
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      break;
    }
    if (got < 0 && errno != EINTR) {
      pid_ = -1;
      break;
    }
    if (std::chrono::steady_clock::now() >= until) return -1;
    std::this_thread::sleep_for(5ms);
  }
  return status_;
}

void Child::signal(int number) const noexcept {
  if (pid_ > 0) ::kill(pid_, number);
}

void Child::end() noexcept {
  if (pid_ <= 0) return;
  signal(SIGCONT);
  signal(SIGTERM);
  if (wait_for(10s) != -1 || pid_ <= 0) return;
  signal(SIGKILL);
  static_cast<void>(wait_for(10s));
}

int run_to_end(const std::vector<std::string>& words, const std::string& out_file,
               const std::string& err_file, std::chrono::milliseconds patience) {
  Child child(words, out_file, err_file);
  return child.wait_for(patience);
}

Use use_of(pid_t pid, bool with_threads) {
  Use use;
  const std::string dir = "/proc/" + std::to_string(pid);
  use.cpu_s = cpu_from(text_of(dir + "/stat"));
  std::istringstream statm(text_of(dir + "/statm"));
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  if (statm >> pages >> resident) {
    use.rss_bytes = resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  std::error_code error;
  if (!with_threads) return use;
  for (const auto& task : std::filesystem::directory_iterator(dir + "/task", error)) {
    std::string name = text_of(task.path().string() + "/comm");
    while (!name.empty() && name.back() == '\n') name.pop_back();
    use.thread_cpu_s[name] += cpu_from(text_of(task.path().string() + "/stat"));
  }
  return use;
}

std::uint16_t free_port() {
  std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<int> ports(20'000, 31'999);
  for (int i = 0; i < 100; ++i) {
    const auto port = static_cast<std::uint16_t>(ports(random));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool is_free =
        fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    if (fd >= 0) ::close(fd);
    if (is_free) return port;
  }
  throw std::runtime_error("no free port on loopback");
}

std::string text_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_text(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file + ": is the disk full?");
}

}  // namespace watchwheel::rig

// SPDX-License-Identifier: Apache-2.0
#include "channels/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

namespace watchwheel::channels {
namespace {

core::Error unavailable(const char* what, int why) {
  return {core::ErrorKind::Unavailable,
          std::string(what) + ": " + std::generic_category().message(why)};
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ != -1) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// A file in memory: nothing is written while the program runs, so nothing can block or break there.
int input_file(const std::string& input) {
  const int fd = ::memfd_create("notice", MFD_CLOEXEC);
  if (fd == -1) return -1;
  std::size_t written = 0;
  while (written < input.size()) {
    const ssize_t n = ::write(fd, input.data() + written, input.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      ::close(fd);
      return -1;
    }
    written += static_cast<std::size_t>(n);
  }
  ::lseek(fd, 0, SEEK_SET);
  return fd;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  // posix_spawn does not write through them.
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

// What the child does before it becomes the program.
class Spawning {
 public:
  Spawning() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  ~Spawning() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;

  [[nodiscard]] int spawn(pid_t& pid, const ProgramRequest& request, int input, int output) {
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const bool ready = posix_spawn_file_actions_addchdir_np(&actions_, "/") == 0 &&
                       posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO) == 0 &&
                       posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO) == 0 &&
                       posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO) == 0 &&
                       posix_spawn_file_actions_addclosefrom_np(&actions_, 3) == 0;
    if (!ready) return ENOMEM;
    const std::vector<char*> words = pointers(request.words);
    const std::vector<char*> environment = pointers(request.environment);
    return ::posix_spawn(&pid, words.front(), &actions_, &attributes_, words.data(),
                         environment.data());
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

bool is_our_trouble(int why) {
  return why == EAGAIN || why == ENOMEM || why == EMFILE || why == ENFILE;
}

}  // namespace

core::Result<std::unique_ptr<Program>> Program::run(const ProgramRequest& request) {
  const Descriptor input(input_file(request.input));
  if (input.get() == -1) return unavailable("no memory for a program's input", errno);
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return unavailable("no pipe for a program", errno);
  Descriptor read_end(ends[0]);
  const Descriptor write_end(ends[1]);
  if (::fcntl(read_end.get(), F_SETFL, O_NONBLOCK) != 0)
    return unavailable("no pipe for a program", errno);

  std::unique_ptr<Program> program(new Program);
  Spawning spawning;
  pid_t pid = -1;
  if (const int why = spawning.spawn(pid, request, input.get(), write_end.get()); why != 0) {
    core::Error error = unavailable("cannot run the program", why);
    if (!is_our_trouble(why)) error.kind = core::ErrorKind::Invalid;
    return error;
  }
  program->pid_ = pid;
  program->output_ = read_end.release();
  program->process_ = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (program->process_ == -1) return unavailable("no descriptor for a program", errno);
  return program;
}

Program::~Program() {
  if (pid_ != -1) end_group();
  if (process_ != -1) ::close(process_);
  if (output_ != -1) ::close(output_);
}

void Program::read_output() {
  if (output_ == -1) return;
  std::array<char, 4096> piece{};
  // Bounded: what it wrote beyond the limit ends it.
  while (output_bytes_ <= kOutputBytesMax) {
    const ssize_t n = ::read(output_, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;
    if (n == 0) {
      // Closed, and maybe it goes on: a closed pipe would be readable for ever.
      ::close(output_);
      output_ = -1;
      return;
    }
    const auto bytes = static_cast<std::size_t>(n);
    output_bytes_ += bytes;
    kept_.append(piece.data(), std::min(bytes, kOutputBytesKept - kept_.size()));
  }
}

bool Program::has_ended() const {
  pollfd process{.fd = process_, .events = POLLIN, .revents = 0};
  return ::poll(&process, 1, 0) == 1;
}

int Program::end_group() {
  // Before it is reaped: until then nobody else can have its number.
  ::kill(-pid_, SIGKILL);
  int status = 255 << 8;  // Should somebody else have reaped it: an exit status that is no success.
  while (::waitpid(pid_, &status, 0) == -1 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

std::optional<ProgramEnd> Program::turn() {
  const bool ended = has_ended();  // Before reading: what it wrote last is there then.
  read_output();
  if (output_bytes_ > kOutputBytesMax) return kill(ProgramEnd::Why::TooMuchOutput);
  if (!ended) return std::nullopt;
  const int status = end_group();
  ProgramEnd end{.why = ProgramEnd::Why::Exited, .status = WEXITSTATUS(status), .output = kept_};
  if (WIFSIGNALED(status)) {
    end.why = ProgramEnd::Why::Signalled;
    end.status = WTERMSIG(status);
  }
  return end;
}

ProgramEnd Program::kill(ProgramEnd::Why why) {
  if (pid_ != -1) end_group();
  return {.why = why, .status = 0, .output = kept_};
}

}  // namespace watchwheel::channels

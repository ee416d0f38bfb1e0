// SPDX-License-Identifier: Apache-2.0
#include "db/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace watchwheel::db {
namespace {

std::string holder(int fd) {
  std::array<char, 16> number{};
  const ssize_t n = ::pread(fd, number.data(), number.size() - 1, 0);
  std::string text(number.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.find_first_not_of("0123456789") == std::string::npos && !text.empty()
             ? " (process " + text + ")"
             : "";
}

}  // namespace

core::Result<std::unique_ptr<FileLock>> FileLock::take(const std::string& path) {
  const auto failed = [&](const std::string& what) {
    return core::Error{core::ErrorKind::Unavailable, what};
  };
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0) return failed(path + " cannot be opened: " + std::generic_category().message(errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int why = errno;
    const std::string who = holder(fd);
    ::close(fd);
    if (why != EWOULDBLOCK)
      return failed(path + " cannot be locked: " + std::generic_category().message(why));
    return failed("another daemon" + who +
                  " works with it, and one file is for one; stop that one, give this one a store.url of its own, or "
                  "use a server for several");
  }
  const std::string own = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) == 0) (void)!::pwrite(fd, own.data(), own.size(), 0);
  return std::unique_ptr<FileLock>(new FileLock(fd));
}

FileLock::~FileLock() {
  ::close(fd_);
}

}  // namespace watchwheel::db

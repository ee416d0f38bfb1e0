// SPDX-License-Identifier: Apache-2.0
#include "checker/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "checker/safe_text.h"

namespace watchwheel::checker {
namespace {

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

std::string shown(std::string_view path) {
  return "\"" + printable(path, 200) + "\"";
}

class File {
 public:
  // Not waiting for a writer, should it be a pipe.
  explicit File(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~File() {
    if (fd_ != -1) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

core::Error unreadable(const std::string& path, int why) {
  return invalid("cannot read " + shown(path) + ": " + std::generic_category().message(why));
}

core::Result<std::string> read_whole(const std::string& path) {
  const File file(path);
  if (file.fd() == -1) return unreadable(path, errno);
  struct stat facts {};
  if (::fstat(file.fd(), &facts) != 0) return unreadable(path, errno);
  if (!S_ISREG(facts.st_mode)) return invalid(shown(path) + " is not a regular file");
  std::string bytes(kSecretBytesMax + 1, '\0');  // One more tells a file that is too long.
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::read(file.fd(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(path, errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace

core::Result<std::string> secret_path(std::string_view name_or_path) {
  if (name_or_path.empty()) return invalid("no file is named");
  if (name_or_path.find('\0') != std::string_view::npos)
    return invalid("the file's name holds a zero byte");
  if (name_or_path.find('/') != std::string_view::npos) return std::string(name_or_path);
  if (name_or_path == "." || name_or_path == "..")
    return invalid(shown(name_or_path) + " is not the name of a credential");
  // systemd sets it before we start and nobody changes it.
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");  // NOLINT(concurrency-mt-unsafe)
  if (directory == nullptr || *directory == '\0') {
    return invalid(shown(name_or_path) +
                   " is the name of a systemd credential, and this service has none: add "
                   "LoadCredential= to its unit, or write a path with a '/'");
  }
  return std::string(directory) + "/" + std::string(name_or_path);
}

core::Result<std::string> read_secret(std::string_view name_or_path) {
  const core::Result<std::string> path = secret_path(name_or_path);
  if (!path) return path.error();
  core::Result<std::string> secret = read_whole(*path);
  if (!secret) return secret.error();
  if (secret->size() > kSecretBytesMax) {
    return invalid(shown(*path) + " is longer than " + std::to_string(kSecretBytesMax / 1024) +
                   " KiB, so it is no password or token");
  }
  if (secret->ends_with('\n')) secret->pop_back();
  if (secret->ends_with('\r')) secret->pop_back();
  if (secret->empty()) return invalid(shown(*path) + " is empty");
  const bool fits = std::none_of(secret->begin(), secret->end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!fits) return invalid(shown(*path) + " holds more than one line, or a control character");
  return secret;
}

}  // namespace watchwheel::checker

// SPDX-License-Identifier: Apache-2.0
#include "app/terminal.h"

#include <langinfo.h>
#include <locale.h>  // NOLINT(modernize-deprecated-headers): newlocale() is POSIX's.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <vector>

namespace watchwheel::app {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string_view() : std::string_view(value);
}

bool locale_is_utf8() {
  const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return false;
  const bool utf8 = std::string_view(::nl_langinfo_l(CODESET, locale)) == "UTF-8";
  ::freelocale(locale);
  return utf8;
}

// -1: none of the process's own.
int descriptor_of(const std::ostream& stream) {
  if (stream.rdbuf() == std::cout.rdbuf()) return STDOUT_FILENO;
  if (stream.rdbuf() == std::cerr.rdbuf()) return STDERR_FILENO;
  return -1;
}

TerminalSize size_of(int fd) {
  TerminalSize size;
  winsize told{};
  if (fd < 0 || ::ioctl(fd, TIOCGWINSZ, &told) != 0) return size;
  if (told.ws_col != 0) size.columns = told.ws_col;
  if (told.ws_row != 0) size.rows = told.ws_row;
  return size;
}

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";  // Alternate screen, no cursor.
constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";

}  // namespace

bool is_terminal(const std::ostream& stream) {
  const int fd = descriptor_of(stream);
  return fd >= 0 && ::isatty(fd) == 1;
}

TerminalSize terminal_size(const std::ostream& stream) {
  return size_of(descriptor_of(stream));
}

TextStyle style_for(const std::ostream& stream) {
  TextStyle style;
  style.colour =
      is_terminal(stream) && environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  style.utf8 = locale_is_utf8();
  return style;
}

std::string screenful(std::string_view page, const TerminalSize& size) {
  std::vector<std::string_view> lines;
  while (!page.empty()) {
    const std::size_t end = std::min(page.find('\n'), page.size());
    lines.push_back(page.substr(0, end));
    page.remove_prefix(std::min(page.size(), end + 1));
  }
  const std::size_t shown = lines.size() <= size.rows ? lines.size() : size.rows - 1;
  std::string out = "\x1b[H";
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) out += "\r\n";
    out += lines[i];
    out += "\x1b[K";  // What a longer line left of the page before.
  }
  if (shown < lines.size()) {
    if (shown > 0) out += "\r\n";
    out += "(" + std::to_string(lines.size() - shown) + " lines more)\x1b[K";
  }
  return out + "\x1b[J";
}

LiveScreen::LiveScreen() {
  sigset_t told;
  ::sigemptyset(&told);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH}) ::sigaddset(&told, signal);
  ::sigprocmask(SIG_BLOCK, &told, &old_mask_);
  signals_ = ::signalfd(-1, &told, SFD_NONBLOCK | SFD_CLOEXEC);
  gone_ = signals_ < 0;  // Better no view than one that cannot be ended.
  keys_ = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &old_settings_) == 0;
  enter();
}

LiveScreen::~LiveScreen() {
  leave();
  if (signals_ >= 0) ::close(signals_);
  ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
}

void LiveScreen::enter() {
  if (keys_) {
    termios settings = old_settings_;
    settings.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    settings.c_cc[VMIN] = 0;
    settings.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &settings);
  }
  write_all(kEnter);
}

void LiveScreen::leave() {
  write_all(kLeave);
  if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &old_settings_);
}

// ^Z: the shell gets its screen, and we ours when we are continued.
void LiveScreen::suspend() {
  leave();
  ::raise(SIGSTOP);
  enter();
}

TerminalSize LiveScreen::size() const {
  return size_of(STDOUT_FILENO);
}

void LiveScreen::draw(std::string_view page) {
  write_all(screenful(page, size()));
}

void LiveScreen::write_all(std::string_view bytes) {
  while (!bytes.empty() && !gone_) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      gone_ = true;
    }
  }
}

std::optional<LiveScreen::Woke> LiveScreen::on_signal() {
  signalfd_siginfo info{};
  if (::read(signals_, &info, sizeof info) != static_cast<ssize_t>(sizeof info))
    return std::nullopt;
  if (info.ssi_signo == static_cast<std::uint32_t>(SIGTSTP)) {
    suspend();
    return Woke::Resized;  // The terminal may be another size by now.
  }
  return info.ssi_signo == static_cast<std::uint32_t>(SIGWINCH) ? Woke::Resized : Woke::Quit;
}

std::optional<LiveScreen::Woke> LiveScreen::on_key() {
  std::array<char, 64> keys{};
  const ssize_t got = ::read(STDIN_FILENO, keys.data(), keys.size());
  if (got <= 0) {
    keys_ = keys_ && got < 0 && (errno == EINTR || errno == EAGAIN);  // It was closed.
    return std::nullopt;
  }
  const std::string_view typed(keys.data(), static_cast<std::size_t>(got));
  if (typed.find_first_of("qQ\x03") != std::string_view::npos) return Woke::Quit;
  return std::nullopt;
}

LiveScreen::Woke LiveScreen::wait(core::Duration d, const core::Clock& clock) {
  const core::SteadyTime end = clock.steady() + d;
  while (!gone_) {
    const core::Duration left = end - clock.steady();
    if (left <= core::Duration::zero()) return Woke::Time;
    std::array<pollfd, 2> wanted{pollfd{signals_, POLLIN, 0}, pollfd{STDIN_FILENO, POLLIN, 0}};
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    if (::poll(wanted.data(), keys_ ? 2 : 1, static_cast<int>(std::min<long>(ms, 60'000))) < 0 &&
        errno != EINTR)
      return Woke::Quit;
    std::optional<Woke> woke;
    if (wanted[0].revents != 0) woke = on_signal();
    if (!woke && keys_ && wanted[1].revents != 0) woke = on_key();
    if (woke) return *woke;
  }
  return Woke::Quit;
}

}  // namespace watchwheel::app

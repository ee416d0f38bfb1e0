// SPDX-License-Identifier: Apache-2.0
// app/terminal.h - the terminal a command talks to: what it can show, and the whole of it while a live view runs.
//
// Thread   the command's, one. The environment is only read, and before any thread is there.
// Bounded  a drawn page is cut to the terminal's size; a wait ends at its time.
// Fails    a terminal that goes away ends the view (Woke::Quit), and nothing else.
#pragma once

#include <termios.h>

#include <csignal>
#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "app/text_page.h"
#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::app {

// Is `stream` the process's own standard output (error), and that a terminal? A test's string stream never is.
[[nodiscard]] bool is_terminal(const std::ostream& stream);

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};
// Of the terminal `stream` is; 80 by 24 where it does not say.
[[nodiscard]] TerminalSize terminal_size(const std::ostream& stream);

// Colour for a person only: a terminal that knows it, and nobody who asked for none (https://no-color.org). Blocks where the
// locale is UTF-8.
[[nodiscard]] TextStyle style_for(const std::ostream& stream);

// `page` as the bytes that show it from the top left corner on a terminal of `size`: lines beyond the last row are left out, and
// the last one then says how many. Nothing of what was drawn before stays. The lines are taken to fit already.
[[nodiscard]] std::string screenful(std::string_view page, const TerminalSize& size);

// Takes the terminal for a live view (alternate screen, no cursor, no echo) and gives it back as it was: at the end, when the
// view is stopped by a signal, and while it is suspended.
class LiveScreen : core::Pinned {
 public:
  enum class Woke { Time, Resized, Quit };

  // Blocks SIGINT, SIGTERM, SIGHUP, SIGTSTP and SIGWINCH until its end: wait() is told of them.
  LiveScreen();
  ~LiveScreen();

  [[nodiscard]] TerminalSize size() const;
  void draw(std::string_view page);
  // Until `d` has passed, the size has changed, or a person or a signal wants the end: ^C, q, SIGTERM, SIGHUP.
  [[nodiscard]] Woke wait(core::Duration d, const core::Clock& clock);

 private:
  void enter();
  void leave();
  void suspend();
  void write_all(std::string_view bytes);
  // Nothing: go on waiting.
  [[nodiscard]] std::optional<Woke> on_signal();
  [[nodiscard]] std::optional<Woke> on_key();

  sigset_t old_mask_{};
  int signals_ = -1;
  bool keys_ = false;  // Standard input is the terminal too, and its settings are ours.
  termios old_settings_{};
  bool gone_ = false;
};

}  // namespace watchwheel::app

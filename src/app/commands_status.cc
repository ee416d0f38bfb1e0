// SPDX-License-Identifier: Apache-2.0
#include "app/commands_status.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/daemon_client.h"
#include "app/status_page.h"
#include "app/status_watch.h"
#include "app/terminal.h"
#include "core/clock.h"
#include "core/units.h"

namespace watchwheel::app {
namespace {

constexpr core::Duration kTimeout = 5s;
constexpr core::Duration kWatchTimeout =
    2s;  // A person who ends the view does not wait longer than this.
constexpr core::Duration kEveryMin = 100ms;
constexpr core::Duration kEveryMax = 1h;

// Looks at the daemon again and again, `count` times or (0) without end. `show` is given each look; `pause` waits, and says whether
// to go on. kExitTrouble when the last look found nobody.
int watch(const HttpConfig& http, std::size_t count, const core::Clock& clock,
          const std::function<void(const StatusWatch&)>& show, const std::function<bool()>& pause) {
  StatusWatch seen;
  for (std::size_t looks = 1;; ++looks) {
    seen.look(fetch_status(http, kWatchTimeout), clock.wall());
    show(seen);
    if (looks == count || !pause()) break;
  }
  return seen.reachable() ? kExitOk : kExitTrouble;
}

int watch_on_screen(const HttpConfig& http, std::size_t count, core::Duration every,
                    const core::Clock& clock, Io& io) {
  const TextStyle style = style_for(io.out);
  io.out.flush();
  LiveScreen screen;
  const StatusWatch* shown = nullptr;
  const auto draw = [&] {
    TextStyle fitting = style;
    fitting.columns = std::min(screen.size().columns, kPageColumns);
    screen.draw(shown->page(fitting));
  };
  const auto show = [&](const StatusWatch& seen) {
    shown = &seen;
    draw();
  };
  const auto pause = [&] {
    const core::SteadyTime next = clock.steady() + every;
    for (;;) {
      switch (screen.wait(next - clock.steady(), clock)) {
        case LiveScreen::Woke::Time:
          return true;
        case LiveScreen::Woke::Quit:
          return false;
        case LiveScreen::Woke::Resized:
          draw();
      }
    }
  };
  // A person who ended the view got what they asked for, whatever was there at the last look.
  bool ended = false;
  const int status = watch(http, count, clock, show, [&] { return !(ended = !pause()); });
  return ended ? kExitOk : status;
}

int watch_in_lines(const HttpConfig& http, std::size_t count, core::Duration every, bool json,
                   const core::Clock& clock, Io& io) {
  const auto show = [&](const StatusWatch& seen) {
    io.out << (json ? seen.json_line() : seen.line()) << std::flush;
  };
  return watch(http, count, clock, show, [&] {
    clock.sleep_for(every);
    return io.out.good();
  });
}

int watch_status(const StatusArgs& args, const Config& config, Io& io) {
  const auto every = core::parse_duration(args.every);
  if (!every) return fail(io, kExitUsage, "--every: " + every.error().message);
  if (*every < kEveryMin || *every > kEveryMax)
    return fail(io, kExitUsage, "--every: write a time between 100ms and 1h");
  const core::SystemClock clock;
  if (args.json || !is_terminal(io.out))
    return watch_in_lines(config.http, args.count, *every, args.json, clock, io);
  return watch_on_screen(config.http, args.count, *every, clock, io);
}

}  // namespace

int show_status(const StatusArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  if (args.watch) return watch_status(args, *config, io);
  const auto body = fetch_status(config->http, kTimeout);
  if (!body) return fail(io, kExitTrouble, body.error().message);
  const auto status = parse_status(*body);
  if (!status) return fail(io, kExitTrouble, status.error().message);
  if (!args.json) {
    io.out << status_page(*status, style_for(io.out));
    return kExitOk;
  }
  io.out << *body;
  if (!body->ends_with('\n')) io.out << "\n";
  return kExitOk;
}

}  // namespace watchwheel::app

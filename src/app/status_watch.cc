// SPDX-License-Identifier: Apache-2.0
#include "app/status_watch.h"

#include <nlohmann/json.hpp>

#include "app/problem.h"
#include "app/status_page.h"

namespace watchwheel::app {
namespace {

// To the second: nobody reads the rest while it changes.
std::string shown_time(core::WallTime t) {
  return core::to_iso8601(std::chrono::floor<std::chrono::seconds>(t)).substr(0, 19) + "Z";
}

}  // namespace

void StatusWatch::look(const core::Result<std::string>& answer, core::WallTime now) {
  seen_at_ = now;
  if (answer && parse_status(*answer)) {
    status_ = *answer;
    unreachable_since_ = core::kNoWallTime;
    return;
  }
  if (reachable()) unreachable_since_ = now;
  why_ = printable(answer ? parse_status(*answer).error().message : answer.error().message, 512);
}

std::string StatusWatch::page(const TextStyle& style) const {
  if (reachable()) {
    TextPage end(style);
    end.text(0, "");
    end.text(0, "seen " + shown_time(seen_at_) + "; q ends this");
    return status_page(*parse_status(status_), style) + end.take();
  }
  TextPage page(style);
  page.text(0, "not reachable since " + shown_time(unreachable_since_), Ink::Bad);
  page.text(2, why_);
  page.text(0, "");
  page.text(0, "last tried " + shown_time(seen_at_) + "; q ends this");
  return page.take();
}

std::string StatusWatch::line() const {
  const std::string at = shown_time(seen_at_) + "  ";
  if (reachable()) return at + status_line(*parse_status(status_)) + "\n";
  return at + "not reachable since " + shown_time(unreachable_since_) + ": " + why_ + "\n";
}

std::string StatusWatch::json_line() const {
  nlohmann::ordered_json json;
  json["seen_at"] = core::to_iso8601(seen_at_);
  if (reachable()) {
    json.update(*parse_status(status_));
  } else {
    json["unreachable_since"] = core::to_iso8601(unreachable_since_);
    json["error"] = why_;
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace watchwheel::app

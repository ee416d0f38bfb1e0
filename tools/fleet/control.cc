// SPDX-License-Identifier: Apache-2.0
#include "fleet/control.h"

#include <algorithm>
#include <array>

#include "fleet/report.h"

namespace watchwheel::fleet {
namespace {

constexpr std::string_view kSitesPath = "/sites/";
constexpr std::string_view kDone = "{\"ok\":true}\n";
constexpr std::array<std::string_view, 2> kGetPaths{"/report", "/faults"};
constexpr std::array<std::string_view, 6> kPostPaths{"/observe/reset", "/observe/mark", "/fault",
                                                     "/clear",         "/dns",          "/stop"};

ControlAnswer refusal(int status, const std::string& problem) {
  return {status, error_json(problem)};
}

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& paths, std::string_view path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

// The value of `key` in a query string; nothing when it is not there. No %-decoding: no value that
// this port understands has a character that needs it.
std::optional<std::string_view> value_of(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == key) {
      return pair.substr(equals + 1);
    }
  }
  return std::nullopt;
}

}  // namespace

Control::Control(const SiteMap& map, FaultBoard& board, const Observer& observer,
                 ControlTarget& target)
    : map_(map), board_(board), observer_(observer), target_(target) {}

ControlAnswer Control::answer(std::string_view method, std::string_view target, Time now) {
  const std::size_t mark = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, mark);
  const std::string_view query = target.substr(std::min(mark + 1, target.size()));
  const bool is_get = contains(kGetPaths, path) || path.starts_with(kSitesPath);
  const bool is_post = contains(kPostPaths, path);
  if (!is_get && !is_post) {
    return refusal(404,
                   "no such path: use /report, /faults, /sites/N, /observe/reset, /observe/mark, "
                   "/fault, /clear, /dns or /stop");
  }
  if (method != (is_get ? "GET" : "POST")) {
    return refusal(405, std::string("wrong method: use ") + (is_get ? "GET" : "POST"));
  }
  return is_get ? get(path, now) : post(path, query, now);
}

ControlAnswer Control::get(std::string_view path, Time now) {
  if (path == "/report") return {200, target_.report(now)};
  if (path == "/faults") return {200, faults_json(board_)};
  const auto site = parse_number(path.substr(kSitesPath.size()), map_.sites() - 1);
  if (!site) {
    return refusal(400, "no such site: use 0 to " + std::to_string(map_.sites() - 1));
  }
  const auto number = static_cast<std::uint32_t>(*site);
  return {200, site_json(number, map_, board_, observer_.site(number, now))};
}

ControlAnswer Control::post(std::string_view path, std::string_view query, Time now) {
  if (path == "/fault") return set_fault(query, now);
  if (path == "/clear") return clear(query);
  if (path == "/observe/reset") return reset(query, now);
  if (path == "/dns") return dns(query);
  if (path == "/stop")
    target_.stop();
  else
    target_.mark_phases();
  return {200, std::string(kDone)};
}

ControlAnswer Control::reset(std::string_view query, Time now) {
  Window window = observer_.window();
  window.sites = {0, map_.sites() - 1};
  if (const auto text = value_of(query, "interval")) {
    const auto interval = parse_duration(*text);
    if (!interval) return refusal(400, interval.problem);
    if (*interval.value < std::chrono::milliseconds(100)) {
      return refusal(400, "interval= must be at least 100ms");
    }
    window.interval = *interval.value;
  }
  if (const auto text = value_of(query, "sites")) {
    const auto sites = parse_site_range(*text, map_.sites());
    if (!sites) return refusal(400, sites.problem);
    window.sites = *sites.value;
  }
  target_.reset_window(now, window);
  return {200, std::string(kDone)};
}

ControlAnswer Control::dns(std::string_view query) {
  const std::string_view wish = value_of(query, "answering").value_or("");
  if (wish != "yes" && wish != "no") return refusal(400, "answering= must be yes or no");
  target_.set_dns_answering(wish == "yes");
  return {200, std::string(kDone)};
}

ControlAnswer Control::set_fault(std::string_view query, Time now) {
  const auto kind = fault_by_name(value_of(query, "kind").value_or(""));
  if (!kind)
    return refusal(400, "kind= is missing or unknown: `watchwheel-fleet faults` lists them");
  const auto sites = parse_site_range(value_of(query, "sites").value_or(""), map_.sites());
  if (!sites) return refusal(400, sites.problem);
  FaultSwitch wish{*kind, *sites.value, Duration{0}, std::nullopt};
  if (const auto text = value_of(query, "for")) {
    const auto lasts = parse_duration(*text);
    if (!lasts) return refusal(400, lasts.problem);
    wish.lasts = lasts.value;
  }
  if (const std::string problem = board_.schedule(wish, now, now); !problem.empty()) {
    return refusal(400, problem);
  }
  return {200, faults_json(board_)};
}

ControlAnswer Control::clear(std::string_view query) {
  const auto sites = parse_site_range(value_of(query, "sites").value_or("all"), map_.sites());
  if (!sites) return refusal(400, sites.problem);
  board_.clear(*sites.value);
  return {200, faults_json(board_)};
}

}  // namespace watchwheel::fleet

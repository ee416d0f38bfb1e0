// SPDX-License-Identifier: Apache-2.0
#include "app/status_page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "app/problem.h"
#include "app/status_summary.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kIndent = 2;
constexpr std::size_t kAt = 16;     // Column of the values beside their labels.
constexpr std::size_t kBarAt = 28;  // Of the bars.
constexpr std::size_t kTextMax = 512;

const Json* find(const Json& json, const char* pointer) {
  const Json::json_pointer at(pointer);
  return json.contains(at) ? &json.at(at) : nullptr;
}

std::optional<double> number(const Json& json, const char* pointer) {
  const Json* at = find(json, pointer);
  if (at == nullptr || !at->is_number()) return std::nullopt;
  return at->get<double>();
}

// A number, a text or a switch.
std::string shown(const Json& value) {
  if (value.is_string()) return printable(value.get<std::string>(), kTextMax);
  if (value.is_number()) return shown_number(value.get<double>());
  return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), kTextMax);
}

std::string shown(const Json& json, const char* pointer) {
  const Json* at = find(json, pointer);
  return at == nullptr ? "?" : shown(*at);
}

std::string seconds(const Json& json, const char* pointer) {
  const auto value = number(json, pointer);
  return value ? shown_seconds(*value) : "?";
}

std::string rate(const Json& json, const char* pointer) {
  const auto value = number(json, pointer);
  return value ? shown_number(*value) + "/s" : "?";
}

std::string megabytes(const Json& json, const char* pointer) {
  const auto bytes = number(json, pointer);
  if (!bytes || !(*bytes >= 0)) return "?";
  return shown_number(std::floor(*bytes / (1024.0 * 1024.0))) + " MiB";
}

// "38 %"; two digits after the point where a whole number would hide what is missing.
std::string percent(double share) {
  std::array<char, 32> text{};
  const bool close = share > 0.9 && share < 1;
  std::snprintf(text.data(), text.size(), close ? "%.2f %%" : "%.0f %%",
                close ? std::min(share * 100, 99.99) : share * 100);
  return text.data();
}

std::string percent(const Json& json, const char* pointer) {
  const auto share = number(json, pointer);
  return share && std::abs(*share) < 1e6 ? percent(*share) : "?";
}

std::vector<double> numbers(const Json& json, const char* pointer) {
  std::vector<double> values;
  const Json* at = find(json, pointer);
  if (at == nullptr || !at->is_array()) return values;
  for (const Json& value : *at) values.push_back(value.is_number() ? value.get<double>() : 0);
  return values;
}

std::string right(std::string text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

std::string left(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

class Page {
 public:
  Page(const Json& json, const TextStyle& style) : json_(json), page_(style) {}

  std::string write() {
    const StatusHead head = status_head(json_);
    page_.text(0, head.text, head.ink);
    page_.text(kIndent, daemon());
    config_troubles();
    checks();
    sites();
    in_flight();
    pressure();
    stretch();
    vantage();
    lanes();
    queues();
    recording();
    legacy();
    notify();
    cluster();
    memory();
    limits();
    return page_.take();
  }

 private:
  void row(std::string_view label, const std::string& value, Ink ink = Ink::Plain) {
    page_.row(kIndent, label, kAt, value, ink);
  }
  [[nodiscard]] bool has(const char* pointer) const { return find(json_, pointer) != nullptr; }
  [[nodiscard]] const Json* object(const char* key) const {
    const auto at = json_.find(key);
    return at != json_.end() && at->is_object() && !at->empty() ? &*at : nullptr;
  }
  [[nodiscard]] const Json* list(const char* key) const {
    const auto at = json_.find(key);
    return at != json_.end() && at->is_array() && !at->empty() ? &*at : nullptr;
  }

  std::string daemon() {
    std::string text = "watchwheel " + shown(json_, "/version") + ", up " +
                       seconds(json_, "/uptime_s") + ", " +
                       (shown(json_, "/ready") == "true" ? "ready" : "still loading");
    if (has("/http")) text += "; listens at " + shown(json_, "/http");
    if (has("/store")) text += "; store " + shown(json_, "/store");
    return text;
  }

  void config_troubles() {
    if (!has("/config/file")) return;
    page_.text(kIndent, "configuration " + shown(json_, "/config/file") + ", loaded " +
                            shown(json_, "/config/loaded_at"));
    if (shown(json_, "/config/reload_ok") == "false")
      page_.text(kIndent, "the last reload was REFUSED, the old configuration is in force",
                 Ink::Bad);
    const Json* waiting = find(json_, "/config/restart_needed");
    if (waiting != nullptr && waiting->is_array() && !waiting->empty()) {
      std::string keys;
      for (const Json& key : *waiting) keys += (keys.empty() ? "" : ", ") + shown(key);
      page_.text(kIndent, "these keys wait for a restart: " + keys, Ink::Unsure);
    }
  }

  void checks() {
    page_.heading("Checks");
    row("rate", rate(json_, "/checks/done_per_second") + " done of " +
                    rate(json_, "/checks/required_per_second") + " required");
    spark("/recent/done_per_second", [](double v) { return shown_number(v) + "/s"; });
    std::string lag = "p50 " + seconds(json_, "/lag_s/p50");
    if (has("/lag_s/p95")) lag += ", p95 " + seconds(json_, "/lag_s/p95");
    lag += ", p99 " + seconds(json_, "/lag_s/p99");
    if (has("/lag_s/max"))
      lag += shown(json_, "/lag_s/max_beyond") == "true"
                 ? ", max above " + seconds(json_, "/lag_s/max")
                 : ", max below " + seconds(json_, "/lag_s/max");
    if (has("/lag_s/window_s")) lag += ", of the last " + seconds(json_, "/lag_s/window_s");
    row("lag", lag);
    spark("/recent/lag_p99_s", [](double v) { return shown_seconds(v); });
    std::string age = "oldest result " + seconds(json_, "/freshness/oldest_age_s");
    if (has("/freshness/within_interval_share"))
      age += ", " + percent(json_, "/freshness/within_interval_share") +
             " no older than their interval";
    age += ", stale " + shown(json_, "/freshness/stale_sites");
    row("age", age);
    row("finished", "up " + shown(json_, "/checks/up") + ", down " + shown(json_, "/checks/down") +
                        ", not measured " + shown(json_, "/checks/not_measured") +
                        "; intervals missed " + shown(json_, "/checks/missed"));
  }

  // The last minutes, beside their highest value.
  template <typename Shown>
  void spark(const char* pointer, Shown shown_top) {
    const std::vector<double> values = numbers(json_, pointer);
    if (values.size() < 2) return;
    const double top = *std::max_element(values.begin(), values.end());
    page_.spark(kAt, "to " + shown_top(top), kBarAt, values, top);
  }

  void sites() {
    page_.heading("Sites");
    std::string states;
    if (const Json* sites = object("sites")) {
      for (const auto& [state, count] : sites->items()) {
        if (state == "total" || !count.is_number() || count == 0) continue;
        states += (states.empty() ? "" : ", ") + printable(state, 40) + " " + shown(count);
      }
    }
    row("total", shown(json_, "/sites/total") + (states.empty() ? "" : ": " + states));
    row("incidents", "down " + shown(json_, "/incidents/down") + ", seems down " +
                         shown(json_, "/incidents/seems_down") +
                         " (see `watchwheel incidents --open`)");
  }

  void in_flight() {
    page_.heading("In flight");
    row("now", shown(json_, "/in_flight/now") + " of " + shown(json_, "/in_flight/limit") +
                   " (limit by " + shown(json_, "/in_flight/limited_by") + "), wanted " +
                   shown(json_, "/in_flight/wanted"));
    std::string refused;
    if (const Json* reasons = find(json_, "/in_flight/refused");
        reasons != nullptr && reasons->is_object()) {
      for (const auto& [reason, count] : reasons->items()) {
        if (count.is_number() && count != 0)
          refused += (refused.empty() ? "" : ", ") + printable(reason, 40) + " " + shown(count);
      }
      row("put off", refused.empty() ? "none" : refused);
    }
  }

  void pressure() {
    const Json* signals = object("pressure");
    if (signals == nullptr) return;
    page_.heading("Pressure");
    for (const auto& [signal, value] : signals->items()) {
      const double share = value.is_number() ? std::clamp(value.get<double>(), 0.0, 1.0) : 0;
      page_.bar(kIndent, printable(signal, 40), kBarAt, value.is_number() ? percent(share) : "?", 0,
                share, 1);
    }
  }

  void stretch() {
    const auto factor = number(json_, "/stretch/factor");
    if (!factor) return;
    page_.heading("Stretch");
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.2fx", *factor);
    const std::string by = shown(json_, "/stretch/limited_by");
    const bool none = *factor < 1.005;
    row("intervals",
        none ? std::string("as configured")
             : text.data() + (by == "?" || by.empty() ? std::string() : ", limited by " + by),
        none ? Ink::Plain : Ink::Unsure);
    if (none) return;
    if (const Json* classes = find(json_, "/stretch/by_priority"))
      row("by priority", pairs(*classes));
  }

  // "a 1, b 2" of an object, or of a list of values or of objects.
  std::string pairs(const Json& json) {
    if (!json.is_structured()) return shown(json);
    std::string text;
    for (const auto& [key, value] : json.items()) {
      text += text.empty() ? "" : value.is_object() ? "; " : ", ";
      if (json.is_object()) text += printable(key, 40) + " ";
      text += value.is_object() ? pairs(value) : shown(value);
    }
    return text.empty() ? "none" : text;
  }

  void vantage() {
    const Json* vantage = object("vantage");
    if (vantage == nullptr) return;
    page_.heading("Vantage");
    for (const auto& [key, value] : vantage->items()) {
      const bool bad = key == "healthy" && value.is_boolean() && !value.get<bool>();
      if (value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()))
        continue;
      row(spaced(key),
          key.ends_with("_share") && value.is_number() ? percent(value.get<double>())
                                                       : pairs(value),
          bad ? Ink::Bad : Ink::Plain);
    }
  }

  static std::string spaced(std::string key) {
    std::replace(key.begin(), key.end(), '_', ' ');
    return printable(key, 40);
  }

  void limits() {
    const Json* limits = list("limits");
    if (limits == nullptr) return;
    page_.heading("Limits");
    std::size_t shown_count = 0;
    for (const Json& limit : *limits) {
      if (!limit.is_object() || ++shown_count > kStatusLanesMax) continue;
      std::string origin = shown(limit, "/origin");
      if (limit.contains("source")) origin += ": " + shown(limit, "/source");
      page_.row(kIndent, left(shown(limit, "/name"), 22) + right(shown(limit, "/value"), 16), 42,
                origin);
    }
  }

  void lanes() {
    const Json* lanes = list("lanes");
    if (lanes == nullptr) return;
    page_.heading("Lanes");
    // So that it fits into 80 columns.
    const auto line = [this](const std::array<std::string, 9>& cells) {
      constexpr std::array<std::size_t, 9> kWidths{2, 11, 11, 11, 10, 8, 9, 9, 6};
      std::string text;
      for (std::size_t i = 0; i < cells.size(); ++i) text += right(cells[i], kWidths[i]);
      page_.text(kIndent, text);
    };
    line({"#", "sites", "required", "done", "in flight", "waiting", "lag p99", "loop lag", "CPU"});
    std::size_t number_of_lane = 0;
    for (const Json& lane : *lanes) {
      if (number_of_lane == kStatusLanesMax) {
        page_.text(kIndent, "and " + std::to_string(lanes->size() - kStatusLanesMax) + " more");
        break;
      }
      const std::string name = std::to_string(number_of_lane++);
      if (!lane.is_object()) continue;
      line({name, shown(lane, "/sites"), rate(lane, "/required_per_second"),
            rate(lane, "/done_per_second"), shown(lane, "/in_flight"), shown(lane, "/queued"),
            seconds(lane, "/lag_p99_s"), seconds(lane, "/loop_lag_s"),
            percent(lane, "/cpu_share")});
    }
  }

  void queues() {
    const Json* queues = list("queues");
    if (queues == nullptr) return;
    page_.heading("Queues");
    std::size_t shown_count = 0;
    for (const Json& queue : *queues) {
      if (!queue.is_object() || ++shown_count > kStatusLanesMax) continue;
      const std::string refused = shown(queue, "/refused");
      page_.row(kIndent, shown(queue, "/name"), 24,
                shown(queue, "/depth") + " of " + shown(queue, "/capacity") +
                    (refused == "0" || refused == "?" ? "" : ", refused " + refused));
    }
  }

  // Nothing to tell of the embedded store, which has none.
  void journal() {
    const Json* used = find(json_, "/recording/journal/used");
    if (used == nullptr || !used->is_boolean() || !used->get<bool>()) return;
    const Json* since = find(json_, "/recording/store_away_since");
    if (since != nullptr && since->is_string())
      row("STORE AWAY", "since " + since->get<std::string>() + ": checks go on", Ink::Bad);
    row("journal", "entries " + shown(json_, "/recording/journal/entries") + ", bytes " +
                       shown(json_, "/recording/journal/bytes") + " of " +
                       shown(json_, "/recording/journal/bytes_max") + ", replayed " +
                       shown(json_, "/recording/journal/replayed") + ", set aside " +
                       shown(json_, "/recording/journal/set_aside"));
    const Json* aside = find(json_, "/recording/journal/set_aside_newest");
    if (aside == nullptr || !aside->is_array()) return;
    for (const Json& one : *aside) {
      if (one.is_object())
        row("SET ASIDE", "site " + shown(one, "/site") + ": " + shown(one, "/reason"), Ink::Bad);
    }
  }

  void recording() {
    if (object("recording") == nullptr) return;
    page_.heading("Recording");
    row("transitions", shown(json_, "/recording/transitions") + ", commit p99 " +
                           seconds(json_, "/recording/commit_p99_s") + ", errors " +
                           shown(json_, "/recording/commit_errors"));
    row("projection", "rows " + shown(json_, "/recording/projected_rows") + ", lag " +
                          seconds(json_, "/recording/projection_lag_s") + ", errors " +
                          shown(json_, "/recording/projection_errors"));
    journal();
    const Json* poisoned = find(json_, "/recording/poisoned");
    if (poisoned == nullptr || !poisoned->is_array()) return;
    for (const Json& site : *poisoned) {
      if (site.is_object())
        row("NOT STORED", "site " + shown(site, "/site") + ": " + shown(site, "/reason"), Ink::Bad);
    }
  }

  void legacy() {
    if (object("legacy") == nullptr) return;
    page_.heading("Legacy table");
    row("table", shown(json_, "/legacy/table"));
    if (has("/legacy/read/rows")) {
      row("read", shown(json_, "/legacy/read/active") + " active rows, a sweep took " +
                      seconds(json_, "/legacy/read/sweep_s") + " (wanted " +
                      seconds(json_, "/legacy/read/sweep_wanted_s") + "), errors " +
                      shown(json_, "/legacy/read/errors"));
      if (shown(json_, "/legacy/read/rejected") != "0")
        row("REJECTED", shown(json_, "/legacy/read/rejected") +
                            " rows cannot be sites: `watchwheel legacy diff` lists them", Ink::Bad);
      if (shown(json_, "/legacy/read/withheld") != "0")
        row("NOT REMOVED", shown(json_, "/legacy/read/withheld") +
                               " sites have no row any more; so many at once are not believed yet", Ink::Bad);
    }
    if (has("/legacy/write/status"))
      row("written", "status " + shown(json_, "/legacy/write/status") + ", checked " +
                         shown(json_, "/legacy/write/checked") + ", overruled " +
                         shown(json_, "/legacy/write/overruled") + ", lag " +
                         seconds(json_, "/legacy/write/lag_s") + ", errors " +
                         shown(json_, "/legacy/write/errors"));
  }

  void notify() {
    const Json* targets = find(json_, "/notify/targets");
    if (targets == nullptr || !targets->is_array() || targets->empty()) return;
    page_.heading("Notices");
    const bool dead = shown(json_, "/notify/dead_letters") != "0";
    row("queue", shown(json_, "/notify/waiting") + " waiting, " +
                     shown(json_, "/notify/under_way") + " under way, oldest " +
                     seconds(json_, "/notify/oldest_s"));
    if (dead)
      row("DEAD", shown(json_, "/notify/dead_letters") +
                      " given up: `watchwheel deliveries --dead` lists them", Ink::Bad);
    for (const Json& target : *targets) {
      const std::string circuit = shown(target, "/circuit");
      const bool gone = shown(target, "/gone") == "true";
      std::string line = shown(target, "/delivered") + " delivered, " +
                         shown(target, "/failed") + " failed, " + shown(target, "/waiting") +
                         " waiting";
      if (gone) line += "; GONE: wants no more (410), reload to try again";
      if (!gone && circuit != "closed") line += "; left alone for now";
      const Json* failure = find(target, "/last_failure");
      if (failure != nullptr && failure->is_string()) line += ": " + shown(*failure);
      row(shown(target, "/name"), line, gone || circuit != "closed" ? Ink::Bad : Ink::Plain);
    }
  }

  void cluster() {
    if (object("cluster") == nullptr) return;
    page_.heading("Cluster");
    row("node", shown(json_, "/cluster/node") + ", " + shown(json_, "/cluster/state") + ", " +
                    shown(json_, "/cluster/nodes_live") + " live");
    row("buckets", shown(json_, "/cluster/owned") + " of " + shown(json_, "/cluster/buckets") +
                       ", coming " + shown(json_, "/cluster/coming") + ", leaving " +
                       shown(json_, "/cluster/leaving") + ", lost " +
                       shown(json_, "/cluster/lost"));
    const Json* valid = find(json_, "/cluster/lease_valid");
    if (valid != nullptr && valid->is_boolean() && !valid->get<bool>())
      row("LEASE", "may have run out: nothing is written until it is renewed", Ink::Bad);
  }

  void memory() {
    if (!has("/process/resident_bytes") && object("memory") == nullptr) return;
    page_.heading("Process");
    std::string memory = megabytes(json_, "/process/resident_bytes");
    if (object("memory") != nullptr) {
      if (has("/memory/resident_bytes")) memory = megabytes(json_, "/memory/resident_bytes");
      if (has("/memory/budget_bytes"))
        memory += " of " + megabytes(json_, "/memory/budget_bytes") + " (" +
                  shown(json_, "/memory/origin") + ")";
      const std::string measures = memory_measures(json_);
      if (!measures.empty()) memory += "; " + measures;
    }
    row("memory", memory);
    if (has("/process/cpu_share"))
      row("CPU", percent(json_, "/process/cpu_share") + " of one core");
    if (has("/process/log_lines_dropped"))
      row("log", "lines dropped " + shown(json_, "/process/log_lines_dropped"));
  }

  const Json& json_;
  TextPage page_;
};

}  // namespace

core::Result<Json> parse_status(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object())
    return core::Error{core::ErrorKind::Unavailable,
                       "what the daemon answers is no status; is it of another version?"};
  return json;
}

StatusHead status_head(const Json& status) {
  const Json* text = find(status, "/summary/text");
  const Json* standing = find(status, "/summary/standing");
  StatusHead head;
  std::string word;
  if (text != nullptr && text->is_string() && standing != nullptr && standing->is_string()) {
    head.text = printable(text->get<std::string>(), kTextMax);
    word = standing->get<std::string>();
  } else {
    const Summary summary = summarize(status);
    head.text = printable(summary.text, kTextMax);
    word = to_string(summary.standing);
  }
  if (word == to_string(Standing::Fault)) head.ink = Ink::Bad;
  if (word == to_string(Standing::Late) || word == to_string(Standing::Loading))
    head.ink = Ink::Unsure;
  return head;
}

std::string status_page(const Json& status, const TextStyle& style) {
  return Page(status, style).write();
}

std::string status_line(const Json& status) {
  return status_head(status).text + "; in flight " + shown(status, "/in_flight/now") + " of " +
         shown(status, "/in_flight/limit") + ", memory " +
         megabytes(status, "/process/resident_bytes");
}

}  // namespace watchwheel::app

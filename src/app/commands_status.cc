// SPDX-License-Identifier: Apache-2.0
#include "app/commands_status.h"

#include <curl/curl.h>

#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "checker/address.h"
#include "core/clock.h"
#include "core/units.h"
#include "http/access.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kAnswerBytesMax = 16 * 1024 * 1024;
constexpr long kTimeoutMs = 5000;

struct Answer {
  std::string body;
  long status = 0;
};

std::size_t on_body(char* data, std::size_t, std::size_t bytes, void* user) noexcept {
  auto& answer = *static_cast<Answer*>(user);
  if (answer.body.size() + bytes > kAnswerBytesMax) return 0;
  try {
    answer.body.append(data, bytes);
  } catch (...) {
    return 0;
  }
  return bytes;
}

struct CurlCleanup {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

core::Result<Answer> get(const std::string& url, const std::string& token) {
  const std::unique_ptr<CURL, CurlCleanup> easy(curl_easy_init());
  if (!easy) return core::Error{core::ErrorKind::Unavailable, "no memory for an HTTP request"};
  Answer answer;
  std::unique_ptr<curl_slist, CurlCleanup> headers;
  if (!token.empty())
    headers.reset(curl_slist_append(nullptr, ("Authorization: Bearer " + token).c_str()));
  std::array<char, CURL_ERROR_SIZE> why{};
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(
      easy.get(), CURLOPT_PROXY,
      "");  // The daemon is here; a proxy of the environment would be asked for *its* loopback.
  curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, why.data());
  const CURLcode code = curl_easy_perform(easy.get());
  if (code != CURLE_OK) {
    return core::Error{core::ErrorKind::Unavailable,
                       "no daemon answers at " + url + " (" +
                           (why[0] != '\0' ? why.data() : curl_easy_strerror(code)) +
                           "); is it running, and is http.listen of this configuration its own?"};
  }
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

core::Error refused(const std::string& url, long status) {
  if (status == 401 || status == 403) {
    return {core::ErrorKind::Unavailable,
            "the daemon at " + url + " wants another token (HTTP " + std::to_string(status) +
                "); use the configuration with its http.token_file, as a user who may read that"};
  }
  return {core::ErrorKind::Unavailable, "what answers at " + url +
                                            " is no watchwheel that can tell its status (HTTP " +
                                            std::to_string(status) + ")"};
}

core::Result<std::string> fetch(const HttpConfig& http) {
  const auto url = status_url(http.listen);
  if (!url) return url.error();
  std::string token;
  if (!http.token_file.empty()) {
    auto read = http::load_token(http.token_file);
    if (!read) return core::Error{core::ErrorKind::Unavailable, read.error().message};
    token = *std::move(read);
  }
  auto answer = get(*url, token);
  if (!answer) return answer.error();
  if (answer->status != 200) return refused(*url, answer->status);
  return std::move(answer->body);
}

// A number, a text or a switch.
std::string shown(const Json& value) {
  if (value.is_string()) return printable(value.get<std::string>(), 512);
  if (value.is_number_float()) {
    std::array<char, 48> text{};
    const double number = value.get<double>();
    std::snprintf(text.data(), text.size(), number >= 100 ? "%.0f" : "%.2f", number);
    return text.data();
  }
  return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 512);
}

// The same, of what is at `pointer`; "?" when nothing is there.
std::string shown(const Json& json, const char* pointer) {
  const Json::json_pointer at(pointer);
  return json.contains(at) ? shown(json.at(at)) : "?";
}

// The seconds at `pointer` for a person.
std::string shown_time(const Json& json, const char* pointer) {
  const Json::json_pointer at(pointer);
  if (!json.contains(at) || !json.at(at).is_number()) return "?";
  const double seconds = json.at(at).get<double>();
  if (!(seconds >= 0 && seconds < 1e9)) return "?";
  return core::humanize(
      std::chrono::duration_cast<core::Duration>(std::chrono::duration<double>(seconds)));
}

std::string size_at(const Json& json, const char* pointer) {
  const Json::json_pointer at(pointer);
  if (!json.contains(at) || !json.at(at).is_number_unsigned()) return "?";
  return std::to_string(json.at(at).get<std::uint64_t>() / (1024 * 1024)) + " MiB";
}

class Page {
 public:
  explicit Page(const Json& json) : json_(json) {}

  std::string write() {
    head();
    line("sites", sites());
    line("checks", shown(json_, "/checks/required_per_second") + "/s needed, " +
                       shown(json_, "/checks/done_per_second") + "/s done; up " +
                       shown(json_, "/checks/up") + ", down " + shown(json_, "/checks/down") +
                       ", not measured " + shown(json_, "/checks/not_measured") +
                       ", intervals missed " + shown(json_, "/checks/missed"));
    line("lag", "p50 " + shown_time(json_, "/lag_s/p50") + ", p99 " +
                    shown_time(json_, "/lag_s/p99") + ", p99.9 " +
                    shown_time(json_, "/lag_s/p999"));
    line("freshness", "oldest result " + shown_time(json_, "/freshness/oldest_age_s") +
                          " old, stale sites " + shown(json_, "/freshness/stale_sites"));
    line("in flight", shown(json_, "/in_flight/now") + " of " + shown(json_, "/in_flight/limit") +
                          " (limit by " + shown(json_, "/in_flight/limited_by") + "), wanted " +
                          shown(json_, "/in_flight/wanted"));
    line("pressure", pairs("/pressure"));
    line("incidents", "down " + shown(json_, "/incidents/down") + ", seems down " +
                          shown(json_, "/incidents/seems_down") +
                          " (see `watchwheel incidents --open`)");
    line("recording", "transitions " + shown(json_, "/recording/transitions") + ", commit p99 " +
                          shown_time(json_, "/recording/commit_p99_s") + ", errors " +
                          shown(json_, "/recording/commit_errors") + "; projection lag " +
                          shown_time(json_, "/recording/projection_lag_s") + ", errors " +
                          shown(json_, "/recording/projection_errors"));
    poisoned();
    queues();
    line("lanes", lanes());
    line("memory", size_at(json_, "/process/resident_bytes") + "; log lines dropped " +
                       shown(json_, "/process/log_lines_dropped"));
    return std::move(out_);
  }

 private:
  void line(std::string label, const std::string& text) {
    label.resize(std::max<std::size_t>(label.size(), 10), ' ');
    out_ += label + " " + text + "\n";
  }

  void head() {
    const bool ready = shown(json_, "/ready") == "true";
    line("watchwheel", shown(json_, "/version") + ", up " + shown_time(json_, "/uptime_s") +
                           (ready ? ", ready" : ", still loading"));
    std::string config =
        shown(json_, "/config/file") + ", loaded " + shown(json_, "/config/loaded_at");
    if (shown(json_, "/config/reload_ok") == "false")
      config += "; the last reload was REFUSED, the old one is in force";
    if (const std::string waiting = shown(json_, "/config/restart_needed");
        waiting != "[]" && waiting != "?")
      config += "; wait for a restart: " + waiting;
    line("config", config);
    line("store", shown(json_, "/store"));
  }

  // "up 190, down 5": what is not zero.
  std::string sites() {
    std::string text = shown(json_, "/sites/total");
    const auto sites = json_.find("sites");
    if (sites == json_.end() || !sites->is_object()) return text;
    std::string states;
    for (const auto& [state, count] : sites->items()) {
      if (state == "total" || !count.is_number() || count == 0) continue;
      states += (states.empty() ? "" : ", ") + printable(state, 40) + " " + count.dump();
    }
    return states.empty() ? text : text + ": " + states;
  }

  std::string pairs(const char* pointer) {
    const Json::json_pointer at(pointer);
    if (!json_.contains(at) || !json_.at(at).is_object()) return "?";
    std::string text;
    for (const auto& [name, value] : json_.at(at).items()) {
      text += (text.empty() ? "" : ", ") + printable(name, 40) + " " + shown(value);
    }
    return text.empty() ? "none" : text;
  }

  void poisoned() {
    const auto* at = "/recording/poisoned";
    if (!json_.contains(Json::json_pointer(at)) || !json_.at(Json::json_pointer(at)).is_array())
      return;
    for (const Json& site : json_.at(Json::json_pointer(at))) {
      if (site.is_object())
        line("", "NOT STORED: site " + shown(site, "/site") + ": " + shown(site, "/reason"));
    }
  }

  void queues() {
    const auto queues = json_.find("queues");
    if (queues == json_.end() || !queues->is_array()) return;
    std::string text;
    for (const Json& queue : *queues) {
      if (!queue.is_object()) continue;
      text += (text.empty() ? "" : ", ") + shown(queue, "/name") + " " + shown(queue, "/depth") +
              "/" + shown(queue, "/capacity");
      if (const std::string refusals = shown(queue, "/refused"); refusals != "0")
        text += " (refused " + refusals + ")";
    }
    line("queues", text);
  }

  std::string lanes() {
    const auto lanes = json_.find("lanes");
    if (lanes == json_.end() || !lanes->is_array()) return "?";
    std::string text = std::to_string(lanes->size());
    for (const Json& lane : *lanes) {
      if (lane.is_object())
        text += "; " + shown(lane, "/sites") + " sites, " + shown(lane, "/queued") +
                " waiting, loop lag " + shown_time(lane, "/loop_lag_s");
    }
    return text;
  }

  const Json& json_;
  std::string out_;
};

}  // namespace

core::Result<std::string> status_url(std::string_view listen) {
  const auto endpoint = checker::parse_endpoint(listen, 9464);
  if (!endpoint) return endpoint.error();
  if (endpoint->port == 0) {
    return core::Error{core::ErrorKind::Unavailable,
                       "http.listen has port 0, a different one at each start; the daemon logs it "
                       "(listening address=…)"};
  }
  checker::Endpoint at = *endpoint;
  if (at.ip == *checker::parse_ip("0.0.0.0")) at.ip = *checker::parse_ip("127.0.0.1");
  if (at.ip == *checker::parse_ip("::")) at.ip = *checker::parse_ip("::1");
  return "http://" + checker::to_string(at) + "/api/v1/status";
}

core::Result<std::string> status_text(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object())
    return core::Error{core::ErrorKind::Unavailable,
                       "what the daemon answers is no status; is it of another version?"};
  return Page(json).write();
}

int show_status(const StatusArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto body = fetch(config->http);
  if (!body) return fail(io, kExitTrouble, body.error().message);
  const auto text = status_text(*body);
  if (!text) return fail(io, kExitTrouble, text.error().message);
  if (!args.json) {
    io.out << *text;
    return kExitOk;
  }
  io.out << *body;
  if (!body->ends_with('\n')) io.out << "\n";
  return kExitOk;
}

}  // namespace watchwheel::app

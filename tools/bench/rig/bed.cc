// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/bed.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "fleet/control_client.h"

namespace watchwheel::rig {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::atomic<bool> stop_requested{false};
Clock::time_point time_limit = Clock::time_point::max();

double now_s() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

void check_stop() {
  if (stop_requested) throw std::runtime_error("stopped by a signal");
  if (Clock::now() > time_limit) throw std::runtime_error("the time limit (--time-limit) is over");
}

void pause_until(double until_s) {
  for (;;) {
    check_stop();
    const double left = until_s - now_s();
    if (left <= 0) return;
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(left, 0.1)));
  }
}

std::string milliseconds_text(double seconds) {
  return std::to_string(std::llround(seconds * 1000)) + "ms";
}

fleet::Endpoint endpoint_of(const std::string& text) {
  const auto endpoint = fleet::parse_endpoint(text);
  if (!endpoint) throw std::runtime_error(endpoint.problem);
  return *endpoint.value;
}

// The site's number in "http://s123.fleet.test:18080/"; kNoSite when it is none.
std::uint32_t site_in(const std::string& url) {
  const std::size_t at = url.find("//s");
  if (at == std::string::npos) return fleet::kNoSite;
  const std::string_view rest = std::string_view(url).substr(at + 3);
  const auto number = fleet::parse_number(rest.substr(0, rest.find('.')), fleet::kNoSite - 1);
  return number ? static_cast<std::uint32_t>(*number) : fleet::kNoSite;
}

}  // namespace

void request_stop() noexcept {
  stop_requested = true;
}

void set_time_limit(std::chrono::seconds limit) {
  time_limit = Clock::now() + limit;
}

void say(const std::string& text) {
  static const double begun = now_s();
  std::fprintf(stderr, "%6.0f s  %s\n", now_s() - begun, text.c_str());
}

Bed::Bed(const BedOptions& options) : options_(options) {
  std::filesystem::create_directories(options_.work_dir);
  for (const char* program : {"src/app/watchwheel", "tools/fleet/watchwheel-fleet"}) {
    if (!std::filesystem::exists(this->program(program))) {
      throw std::runtime_error(this->program(program) +
                               " is not there: build first, or name the place with --build");
    }
  }
  for (const char* old : {"watchwheel.db", "watchwheel.db-wal", "watchwheel.db-shm"}) {
    std::filesystem::remove(file(old));
  }
  static_cast<void>(run_to_end({program("src/app/watchwheel"), "--version"}, file("version"),
                               file("version.err"), 10s));
  version_ = text_of(file("version"));
  version_ = version_.substr(0, version_.find('\n'));
  start_fleet();
  break_some();
  listen_ = {0x7f000001U, free_port()};
}

std::vector<std::string> Bed::pinned(int core, std::vector<std::string> words) const {
  if (!options_.pinned) return words;
  std::vector<std::string> all{"taskset", "-c", std::to_string(core)};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

std::vector<std::string> Bed::fleet_shape() const {
  std::vector<std::string> words{"--sites", std::to_string(options_.fleet_sites + kCanaries),
                                 "--https", std::to_string(options_.https)};
  if (options_.spread) words.emplace_back("--spread");
  return words;
}

void Bed::start_fleet() {
  std::vector<std::string> words{program("tools/fleet/watchwheel-fleet"), "run"};
  for (std::string& word : fleet_shape()) words.push_back(std::move(word));
  const std::vector<std::string> rest{
      "--http-port",    "0",
      "--https-port",   "0",
      "--dns",          "127.0.0.1:0",
      "--control",      "127.0.0.1:0",
      "--dns-ttl",      options_.dns_ttl,
      "--delay",        options_.delay,
      "--delay-jitter", options_.jitter,
      "--timeout",      milliseconds_text(options_.timeout_s),
      "--connections",  "19800",
      "--cert-dir",     file("certs"),
      "--certs",        options_.distinct_certs ? "distinct" : "shared",
      "--duration",     "6h"};
  words.insert(words.end(), rest.begin(), rest.end());
  if (!options_.dns_negative_ttl.empty()) {
    words.insert(words.end(), {"--dns-negative-ttl", options_.dns_negative_ttl});
  }
  words.insert(words.end(), options_.fleet_words.begin(), options_.fleet_words.end());
  say("starting the fleet: " + readable(options_.fleet_sites) + " sites, " +
      readable(options_.https) + " of them HTTPS");
  fleet_ = Child(pinned(1, words), file("fleet.out"), file("fleet.err"));
  const double until = now_s() + 300;
  while (text_of(file("fleet.out")).find('\n') == std::string::npos) {
    if (!fleet_.is_running()) {
      throw std::runtime_error("the fleet did not start: " + text_of(file("fleet.err")));
    }
    if (now_s() > until) throw std::runtime_error("the fleet is not ready after 300 s");
    pause_until(now_s() + 0.02);
  }
  const nlohmann::json ready = nlohmann::json::parse(text_of(file("fleet.out")));
  control_ = endpoint_of(ready.at("control"));
  dns_ = ready.at("dns");
  ca_file_ = ready.at("ca_file");
  http_port_ = ready.at("http_port");
  https_port_ = ready.at("https_port");
}

// What a list of sites looks like on any day: some of them are broken, in one way or another.
void Bed::break_some() const {
  constexpr std::array<const char*, 8> kKinds{"status_500", "refused", "no_answer", "nxdomain",
                                              "reset",      "closed",  "truncated", "servfail"};
  const auto each = static_cast<std::uint32_t>(options_.failing_share * options_.fleet_sites /
                                               static_cast<double>(kKinds.size()));
  for (std::uint32_t i = 0; each > 0 && i < kKinds.size(); ++i) {
    fault(kKinds[i], i * each, (i + 1) * each);
  }
}

void Bed::post(const std::string& target) const {
  const auto answer = fleet::ask_control(control_, "POST", target, 30s);
  if (!answer) throw std::runtime_error("POST " + target + ": " + answer.problem);
}

void Bed::fault(const std::string& kind, std::uint32_t from, std::uint32_t to) const {
  post("/fault?kind=" + kind + "&sites=" + std::to_string(from) + "-" + std::to_string(to - 1));
}

std::string Bed::engine_get(const std::string& target) const {
  const auto answer = fleet::ask_control(listen_, "GET", target, 20s);
  return answer ? *answer.value : std::string();
}

double Bed::import(std::uint32_t from, std::uint32_t to) {
  const std::string list = file("sites.csv");
  std::vector<std::string> words{program("tools/fleet/watchwheel-fleet"), "sites"};
  for (std::string& word : fleet_shape()) words.push_back(std::move(word));
  words[3] = std::to_string(to);  // After "sites" and "--sites": only so many.
  // A list of fewer sites has the same names and the same ports; which are HTTPS is cut with it.
  words[5] = std::to_string(std::min(options_.https, to));
  for (const std::string& word :
       {std::string("--from"), std::to_string(from), std::string("--no-interval"),
        std::string("--http-port"), std::to_string(http_port_), std::string("--https-port"),
        std::to_string(https_port_)}) {
    words.push_back(word);
  }
  if (run_to_end(words, list, file("sites.err"), 300s) != 0) {
    throw std::runtime_error("the list could not be made: " + text_of(file("sites.err")));
  }
  if (interval_s_ == 0) write_config(300);
  say("importing " + readable(to - from) + " sites");
  const double begun = now_s();
  Child child(
      {program("src/app/watchwheel"), "sites", "import", list, "--config", file("watchwheel.toml")},
      file("import.out"), file("import.err"));
  int status = -1;
  while ((status = child.wait_for(900ms)) == -1) {
    check_stop();
    if (now_s() > begun + 1800) throw std::runtime_error("the import takes more than half an hour");
    if (is_window_open_) take_sample();
  }
  if (status != 0) {
    throw std::runtime_error("the import failed: " + text_of(file("import.out")) +
                             text_of(file("import.err")));
  }
  std::filesystem::remove(list);
  return now_s() - begun;
}

void Bed::write_config(double interval_s) const {
  const double timeout = std::min(options_.timeout_s, interval_s);
  // Dotted keys, so that settings from outside need no section of their own.
  std::vector<std::pair<std::string, std::string>> keys{
      {"store.url", "\"sqlite://" + file("watchwheel.db") + "\""},
      {"store.state_dir", "\"" + options_.work_dir + "\""},
      {"checks.interval", "\"" + milliseconds_text(interval_s) + "\""},
      {"checks.timeout", "\"" + milliseconds_text(timeout) + "\""},
      {"checks.allow", "[\"127.0.0.0/8\", \"::1/128\"]"},
      {"checks.resolvers", "[\"" + dns_ + "\"]"},
      {"http.listen", "\"" + fleet::to_text(listen_) + "\""}};
  if (options_.https > 0) keys.emplace_back("checks.ca_file", "\"" + ca_file_ + "\"");
  if (options_.lanes > 0) keys.emplace_back("engine.lanes", std::to_string(options_.lanes));
  std::string canaries;
  for (std::uint32_t i = 0; i < kCanaries; ++i) {
    canaries += std::string(i > 0 ? ", " : "") + "\"http://s" +
                std::to_string(options_.fleet_sites + i) +
                ".fleet.test:" + std::to_string(http_port_) + "/\"";
  }
  keys.emplace_back("vantage.canaries", "[" + canaries + "]");
  for (const auto& setting : options_.settings) {
    const auto same = std::find_if(keys.begin(), keys.end(),
                                   [&](const auto& key) { return key.first == setting.first; });
    if (same != keys.end())
      same->second = setting.second;
    else
      keys.push_back(setting);
  }
  std::string text;
  for (const auto& [key, value] : keys) text += key + " = " + value + "\n";
  write_text(file("watchwheel.toml"), text);
}

double Bed::start_engine(double interval_s) {
  interval_s_ = interval_s;
  write_config(interval_s);
  say("starting the engine, interval " + readable(interval_s) + " s");
  const double begun = now_s();
  engine_ =
      Child(pinned(0, {program("src/app/watchwheel"), "run", "--config", file("watchwheel.toml")}),
            file("engine.out"), file("engine.err"));
  while (!fleet::ask_control(listen_, "GET", "/-/ready", 5s)) {
    if (!engine_.is_running()) {
      throw std::runtime_error("the engine did not start: see " + file("engine.err"));
    }
    if (now_s() > begun + 600) throw std::runtime_error("the engine is not ready after 600 s");
    pause_until(now_s() + 0.05);
  }
  return now_s() - begun;
}

void Bed::stop_engine() {
  engine_.end();
}

void Bed::set_interval(double interval_s) {
  interval_s_ = interval_s;
  write_config(interval_s);
  const auto answer = fleet::ask_control(listen_, "POST", "/-/reload", 20s);
  if (!answer) throw std::runtime_error("the reload was refused: " + answer.problem);
}

void Bed::freeze_engine() const {
  engine_.signal(SIGSTOP);
}

void Bed::thaw_engine() const {
  engine_.signal(SIGCONT);
}

Reading Bed::read() const {
  Reading out;
  out.page = MetricsPage(engine_get("/metrics"));
  out.at_s = now_s();
  out.engine = use_of(engine_.pid(), true);
  out.fleet = use_of(fleet_.pid());
  return out;
}

void Bed::settle(double seconds, const std::string& why) const {
  say(why + ", " + readable(std::ceil(seconds)) + " s");
  pause_until(now_s() + seconds);
}

void Bed::begin_window(const std::string& name, std::uint32_t from, std::uint32_t to) {
  window_ = Step{};
  window_.name = name;
  window_.sites = to - from;
  window_.interval_s = interval_s_;
  window_.timeout_s = options_.timeout_s;
  post("/observe/reset?interval=" + milliseconds_text(interval_s_) +
       "&sites=" + std::to_string(from) + "-" + std::to_string(to - 1));
  window_.before = read();
  window_.after = window_.before;
  is_window_open_ = true;
}

void Bed::take_sample() {
  if (engine_.pid() > 0 && !engine_.is_running()) {
    throw std::runtime_error("the engine ended: see " + file("engine.err"));
  }
  Reading now = read();
  if (!now.page.has("watchwheel_checks_total")) return;  // No answer in time: told by the gap.
  window_.samples.push_back(sample_of(window_.before, window_.after, now));
  window_.after = std::move(now);
}

void Bed::sample_for(double seconds, const IsDone& is_done) {
  say(window_.name + ": watching for " + readable(std::ceil(seconds)) + " s");
  const double until = now_s() + seconds;
  while (now_s() < until) {
    pause_until(std::min(until, std::max(window_.after.at_s, now_s() - 0.9) + 1));
    take_sample();
    if (is_done && !window_.samples.empty() && is_done(window_.samples.back())) break;
  }
}

Step Bed::end_window() {
  is_window_open_ = false;
  window_.after = read();
  const auto report = fleet::ask_control(control_, "GET", "/report", 30s);
  if (!report) throw std::runtime_error("the fleet gives no report: " + report.problem);
  window_.fleet = fleet_report_of(*report.value);
  return std::move(window_);
}

Step Bed::watch(const std::string& name, std::uint32_t from, std::uint32_t to, double seconds,
                const IsDone& is_done) {
  begin_window(name, from, to);
  sample_for(seconds, is_done);
  return end_window();
}

std::string Bed::status_text() const {
  static_cast<void>(
      run_to_end({program("src/app/watchwheel"), "status", "--config", file("watchwheel.toml")},
                 file("status.out"), file("status.err"), 30s));
  return text_of(file("status.out"));
}

std::vector<std::uint32_t> Bed::open_incidents(const std::string& state) const {
  const std::string out = file("incidents.json");
  const int status = run_to_end({program("src/app/watchwheel"), "incidents", "--open", "--json",
                                 "--limit", "0", "--config", file("watchwheel.toml")},
                                out, file("incidents.err"), 120s);
  if (status != 0) throw std::runtime_error("incidents: " + text_of(file("incidents.err")));
  std::vector<std::uint32_t> sites;
  const nlohmann::json json = nlohmann::json::parse(text_of(out));
  for (const auto& incident : json.at("incidents")) {
    if (incident.at("state") == state && incident.at("url").is_string()) {
      sites.push_back(site_in(incident.at("url")));
    }
  }
  std::filesystem::remove(out);
  return sites;
}

double Bed::client_us(const std::vector<std::string>& program_words, const std::string& label,
                      std::uint32_t sites, double rate, double seconds) const {
  std::vector<std::string> words = pinned(0, program_words);
  const bool is_tls = options_.https > 0;
  const auto checks = static_cast<std::uint64_t>(std::max(rate * seconds, 10.0));
  const std::vector<std::string> flags{
      "--label",      label,
      "--port",       std::to_string(is_tls ? https_port_ : http_port_),
      "--resolver",   dns_,
      "--sites",      std::to_string(sites),
      "--in-flight",  "4000",
      "--rate",       std::to_string(rate),
      "--checks",     std::to_string(checks),
      "--warm-up",    std::to_string(std::min<std::uint64_t>(checks / 10 + 1, 5000)),
      "--time-limit", "120"};
  words.insert(words.end(), flags.begin(), flags.end());
  if (is_tls) words.insert(words.end(), {"--https", "--ca", ca_file_});
  say("measuring " + label + " at " + readable(std::round(rate)) + " checks a second");
  const int status = run_to_end(words, file("client.out"), file("client.err"), 150s);
  if (status != 0) return 0;
  const auto line = nlohmann::json::parse(text_of(file("client.out")), nullptr, false);
  return line.is_object() ? line.value("cpu_us", 0.0) : 0;
}

}  // namespace watchwheel::rig

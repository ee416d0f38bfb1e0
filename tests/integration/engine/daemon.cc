// SPDX-License-Identifier: Apache-2.0
#include "daemon.h"

#include <curl/curl.h>

#include <csignal>
#include <stdexcept>

#include "core/ensure.h"
#include "core/units.h"
#include "fleet/control_client.h"

#include "support/paths.h"

namespace watchwheel::testing {
namespace {

using namespace std::chrono_literals;

std::size_t append(char* data, std::size_t size, std::size_t count, void* into) {
  static_cast<std::string*>(into)->append(data, size * count);
  return size * count;
}

DaemonUnderTest::Answer call_url(const std::string& url, const std::vector<std::string>& headers,
                                 const std::optional<std::string>& posted) {
  CURL* curl = curl_easy_init();
  curl_slist* lines = nullptr;
  for (const std::string& header : headers) lines = curl_slist_append(lines, header.c_str());
  DaemonUnderTest::Answer answer;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  if (posted) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, posted->c_str());
  if (curl_easy_perform(curl) == CURLE_OK)
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_slist_free_all(lines);
  curl_easy_cleanup(curl);
  return answer;
}

}  // namespace

std::string watchwheel_binary() {
  return binary_dir() + "/src/app/watchwheel";
}

FleetThread::FleetThread(fleet::Config config) : config_(std::move(config)) {
  config_.http_port = 0;
  config_.https_port = 0;
  config_.dns.port = 0;
  config_.control.port = 0;
  config_.dns_ttl = std::chrono::seconds(1);
  fleet_ = std::make_unique<fleet::Fleet>(config_);
  thread_ = std::thread([this] { fleet_->run(); });
}

FleetThread::~FleetThread() {
  fleet_->request_stop();
  thread_.join();
}

void FleetThread::control(const std::string& method, const std::string& target) const {
  const auto answer = fleet::ask_control({config_.control.address, fleet_->control_port()}, method,
                                         target, std::chrono::seconds(5));
  ENSURE(static_cast<bool>(answer), "the fleet's control port refused " + target);
}

void FleetThread::fault(const std::string& kind, std::uint32_t first, std::uint32_t last) const {
  control("POST",
          "/fault?kind=" + kind + "&sites=" + std::to_string(first) + "-" + std::to_string(last));
}
void FleetThread::clear(std::uint32_t first, std::uint32_t last) const {
  control("POST", "/clear?sites=" + std::to_string(first) + "-" + std::to_string(last));
}
void FleetThread::dns(bool answering) const {
  control("POST", std::string("/dns?answering=") + (answering ? "yes" : "no"));
}
void FleetThread::reset_window() const {
  control("POST", "/observe/reset");
}

nlohmann::json FleetThread::report() const {
  const auto answer = fleet::ask_control({config_.control.address, fleet_->control_port()}, "GET",
                                         "/report", std::chrono::seconds(5));
  ENSURE(static_cast<bool>(answer), "the fleet gave no report");
  return nlohmann::json::parse(*answer.value);
}

nlohmann::json FleetThread::site(std::uint32_t site) const {
  const auto answer = fleet::ask_control({config_.control.address, fleet_->control_port()}, "GET",
                                         "/sites/" + std::to_string(site), std::chrono::seconds(5));
  ENSURE(static_cast<bool>(answer), "the fleet says nothing of a site");
  return nlohmann::json::parse(*answer.value);
}

std::string FleetThread::url(std::uint32_t site) const {
  const bool tls = site < config_.https;
  return std::string(tls ? "https" : "http") + "://s" + std::to_string(site) +
         ".fleet.test:" + std::to_string(tls ? fleet_->https_port() : fleet_->http_port()) + "/";
}

DaemonUnderTest::DaemonUnderTest(const FleetThread& fleet, core::Duration interval,
                                 const std::string& extra, const std::string& store_url)
    : fleet_(fleet),
      interval_(interval),
      listen_("127.0.0.1:" + std::to_string(free_port())),
      config_file_(dir_.file("watchwheel.toml")) {
  config_text_ =
      "[store]\nurl = \"" + (store_url.empty() ? "sqlite://" + store_file() : store_url) +
      "\"\nstate_dir = \"" + dir_.path() + "\"\n" + "[checks]\ninterval = \"" +
      core::format_duration(interval_) + "\"\ntimeout = \"2s\"\nconnect_timeout = \"1s\"\n" +
      "allow = [\"127.0.0.0/8\"]\nresolvers = [\"127.0.0.1:" +
      std::to_string(fleet.fleet().dns_port()) + "\"]\n" +
      (fleet.fleet().ca_file().empty() ? "" : "ca_file = \"" + fleet.fleet().ca_file() + "\"\n") +
      "[confirm]\nretry_interval = \"1s\"\n[http]\nlisten = \"" + listen_ + "\"\n" + extra;
  write_file(config_file_, config_text_);
}

void DaemonUnderTest::import_sites(std::uint32_t count) const {
  std::string csv = "url,name\n";
  for (std::uint32_t site = 0; site < count; ++site)
    csv += fleet_.url(site) + ",site " + std::to_string(site) + "\n";
  const std::string file = dir_.file("sites.csv");
  write_file(file, csv);
  const Finished done = command({"sites", "import", file});
  ENSURE(done.status == 0, "sites import failed: " + done.out + done.err);
}

void DaemonUnderTest::start(const std::vector<std::string>& through) {
  // A test that is killed for taking too long leaves no daemon behind, which would take its time from those that follow.
  std::vector<std::string> words{"setpriv", "--pdeathsig", "KILL"};
  words.insert(words.end(), through.begin(), through.end());
  words.insert(words.end(), {watchwheel_binary(), "run", "--config", config_file_});
  process_ = std::make_unique<ChildProcess>(words);
}

void DaemonUnderTest::wait_ready() const {
  // A database that has just been made syncs every step of its schema: on a disk that others write to each takes a second.
  const bool is_ready = eventually([this] { return get("/-/ready").has_value(); }, 90s);
  ENSURE(is_ready, "the daemon did not get ready: " + process_->err());
}

void DaemonUnderTest::kill() {
  process_->signal(SIGKILL);
  const auto end = process_->wait(10s * kPatience);
  ENSURE(end.has_value(), "a killed process goes on");
}

Finished DaemonUnderTest::stop() {
  process_->signal(SIGTERM);
  const auto status = process_->wait(30s * kPatience);
  ENSURE(status.has_value(), "the daemon did not stop: " + process_->err());
  return {*status, process_->out(), process_->err()};
}

Finished DaemonUnderTest::command(std::vector<std::string> words) const {
  words.insert(words.begin(), watchwheel_binary());
  words.insert(words.end(), {"--config", config_file_});
  return run_program(words);
}

nlohmann::json DaemonUnderTest::incidents(bool open_only) const {
  std::vector<std::string> words{"incidents", "--json", "--limit", "10000", "--kind", "outage"};
  if (open_only) words.emplace_back("--open");
  const Finished done = command(words);
  ENSURE(done.status == 0, "incidents failed: " + done.err);
  return nlohmann::json::parse(done.out);
}

nlohmann::json DaemonUnderTest::status() const {
  const auto text = get("/api/v1/status");
  ENSURE(text.has_value(), "no status");
  return nlohmann::json::parse(*text);
}

std::optional<std::string> DaemonUnderTest::get(const std::string& path) const {
  const Answer answer = call(path, {});
  if (answer.status == 0 || answer.status >= 300) return std::nullopt;
  return answer.body;
}
std::optional<std::string> DaemonUnderTest::post(const std::string& path) const {
  const Answer answer = call(path, {}, "");
  if (answer.status == 0) return std::nullopt;
  return answer.body;
}
DaemonUnderTest::Answer DaemonUnderTest::call(const std::string& path,
                                              const std::vector<std::string>& headers,
                                              const std::optional<std::string>& json) const {
  return call_url("http://" + listen_ + path, headers, json);
}

double DaemonUnderTest::metric(const std::string& name_and_labels) const {
  const auto page = get("/metrics");
  ENSURE(page.has_value(), "no metrics");
  const auto at = page->find("\n" + name_and_labels + " ");
  ENSURE(at != std::string::npos, "no metric " + name_and_labels);
  return std::stod(page->substr(at + name_and_labels.size() + 2));
}

}  // namespace watchwheel::testing

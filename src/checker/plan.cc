// SPDX-License-Identifier: Apache-2.0
#include "checker/plan.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "checker/secret_file.h"

namespace watchwheel::checker {
namespace {

using core::Error;
using core::ErrorKind;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool is_header_name(std::string_view name) {
  constexpr std::string_view kAlsoAllowed = "!#$%&'*+-.^_`|~";  // RFC 9110, token.
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           kAlsoAllowed.find(c) != std::string_view::npos;
  });
}

// A line break in a value would be a second header, or a second request.
bool is_header_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(),
                      [](char c) { return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f; });
}

class HeaderListBuilder {
 public:
  void add(std::string_view name, std::string_view value) {
    // libcurl's own spelling: "Name:" would take a header away, "Name;" sends it empty.
    const std::string line =
        value.empty() ? std::string(name) + ";" : std::string(name) + ": " + std::string(value);
    curl_slist* longer = curl_slist_append(list_.get(), line.c_str());
    if (longer == nullptr) {
      failed_ = true;
      return;
    }
    if (!list_) list_.reset(longer);
    const std::string known = lower(name);
    if (known == "host" && !lines_.host.empty()) return;  // libcurl sends the first only, too.
    std::string& text = known == "host" ? lines_.host : lines_.text;
    text.append(name).append(value.empty() ? ":" : ": ").append(value).append("\r\n");
    lines_.own_login = lines_.own_login || known == "authorization";
    lines_.own_accept = lines_.own_accept || known == "accept";
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] HeaderList take() { return std::move(list_); }
  [[nodiscard]] HeaderLines take_lines() { return std::move(lines_); }

 private:
  HeaderList list_;
  HeaderLines lines_;
  bool failed_ = false;
};

bool has_header(const core::CheckOptions& options, std::string_view name) {
  return std::any_of(options.headers.begin(), options.headers.end(),
                     [&](const core::Header& header) { return lower(header.name) == name; });
}

// Headers that say how we ask, and nothing of who asks whom: they may go wherever a redirect leads. What any other holds, nobody
// but its author knows; and a Host header belongs to the site it was written for.
bool is_for_anybody(std::string_view name) {
  static constexpr std::array<std::string_view, 20> kNames{"accept",           "accept-charset",
                                                           "accept-encoding",  "accept-language",
                                                           "cache-control",    "connection",
                                                           "content-encoding", "content-language",
                                                           "content-type",     "dnt",
                                                           "expect",           "if-modified-since",
                                                           "if-none-match",    "pragma",
                                                           "priority",         "range",
                                                           "save-data",        "te",
                                                           "user-agent",       "x-requested-with"};
  const std::string plain = lower(name);
  return std::find(kNames.begin(), kNames.end(), plain) != kNames.end() ||
         plain == "upgrade-insecure-requests" || plain.starts_with("sec-fetch-") ||
         plain.starts_with("sec-ch-ua");
}

core::Result<HeaderList> make_headers(const core::CheckOptions& options, const PlanGround& ground,
                                      const std::string& bearer, bool at_origin,
                                      HeaderLines& lines) {
  HeaderListBuilder list;
  if (!has_header(options, "connection")) list.add("Connection", "close");
  // What costs little memory to decode; windows of brotli and zstd are 16 MiB and more.
  if (!has_header(options, "accept-encoding")) list.add("Accept-Encoding", "gzip, deflate");
  const std::string& agent = options.user_agent.empty() ? ground.user_agent : options.user_agent;
  if (!has_header(options, "user-agent") && !agent.empty()) list.add("User-Agent", agent);
  if (at_origin && !bearer.empty()) list.add("Authorization", "Bearer " + bearer);
  for (const core::Header& header : options.headers) {
    if (lower(header.name) == "cookie") continue;  // ProbePlan::cookies.
    if (!at_origin && !is_for_anybody(header.name)) continue;
    list.add(header.name, header.value);
  }
  if (list.failed()) return Error{ErrorKind::Unavailable, "no memory for request headers"};
  lines = list.take_lines();
  return list.take();
}

bool frames_itself(const core::CheckOptions& options) {
  return has_header(options, "content-length") || has_header(options, "transfer-encoding") ||
         has_header(options, "expect") || has_header(options, "upgrade");
}

core::Result<void> check_headers(const core::CheckOptions& options, const PlanGround& ground) {
  for (const core::Header& header : options.headers) {
    if (!is_header_name(header.name))
      return Error{ErrorKind::Invalid, "header: not a header name before the ':'"};
    if (!is_header_value(header.value)) {
      return Error{ErrorKind::Invalid, "header: the value of " + header.name +
                                           " holds a line break or control character"};
    }
  }
  if (!is_header_value(options.user_agent) || !is_header_value(ground.user_agent)) {
    return Error{ErrorKind::Invalid, "user_agent: holds a line break or control character"};
  }
  if (!is_header_name(options.method))
    return Error{ErrorKind::Invalid, "method: not an HTTP method"};
  return {};
}

// As one header: RFC 6265 wants no second.
std::string own_cookies(const core::CheckOptions& options) {
  std::string cookies;
  for (const core::Header& header : options.headers) {
    if (lower(header.name) != "cookie" || header.value.empty()) continue;
    cookies += (cookies.empty() ? "" : "; ") + header.value;
  }
  return cookies;
}

// The secrets of the options; `bearer` gets the token.
core::Result<void> read_secrets(ProbePlan& plan, std::string& bearer) {
  const core::CheckOptions& options = plan.options;
  const bool asks = !options.auth_password_file.empty() || !options.bearer_token_file.empty();
  if (asks && has_header(options, "authorization")) {
    return Error{ErrorKind::Invalid,
                 "header: Authorization beside auth_user or bearer_token_file: choose one"};
  }
  if (!options.auth_password_file.empty()) {
    auto password = read_secret(options.auth_password_file);
    if (!password)
      return Error{password.error().kind, "auth_password_file: " + password.error().message};
    plan.login = Login{options.auth_user, std::move(*password)};
  }
  if (!options.bearer_token_file.empty()) {
    auto token = read_secret(options.bearer_token_file);
    if (!token) return Error{token.error().kind, "bearer_token_file: " + token.error().message};
    bearer = std::move(*token);
  }
  return {};
}

// Names that lead nowhere are left out: who reads them says so.
std::vector<std::string> files_of(const core::CheckOptions& options) {
  std::vector<std::string> files;
  for (const std::string* name : {&options.auth_password_file, &options.bearer_token_file,
                                  &options.client_cert_file, &options.client_key_file}) {
    if (name->empty()) continue;
    if (auto path = secret_path(*name)) files.push_back(std::move(*path));
  }
  return files;
}

core::Result<HttpVersion> parse_http_version(std::string_view text) {
  constexpr std::array<std::string_view, 3> kNames{"1.0", "1.1", "2"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<HttpVersion>(i);
  }
  return Error{ErrorKind::Invalid,
               "http_version: \"" + std::string(text) + "\" is not one of 1.0, 1.1, 2"};
}

core::Result<ExchangeChoice> parse_exchange(std::string_view text) {
  if (text == "auto") return ExchangeChoice::Auto;
  if (text == "curl") return ExchangeChoice::Curl;
  return Error{ErrorKind::Invalid,
               "exchange: \"" + std::string(text) + "\" is not one of auto, curl"};
}

std::optional<TlsVersion> parse_tls_version(std::string_view text) {
  constexpr std::array<std::string_view, 4> kNames{"1.0", "1.1", "1.2", "1.3"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<TlsVersion>(i);
  }
  return std::nullopt;
}

core::Result<void> parse_addresses(ProbePlan& plan, const PlanGround& ground) {
  plan.allow = ground.allow;
  for (const std::string& text : plan.options.allow) {
    core::Result<Cidr> block = parse_cidr(text);
    if (!block) return Error{ErrorKind::Invalid, "allow: " + block.error().message};
    plan.allow.push_back(*block);
  }
  for (const std::string& text : plan.options.resolvers) {
    core::Result<Endpoint> server = parse_endpoint(text, 53);
    if (!server) return Error{ErrorKind::Invalid, "resolvers: " + server.error().message};
    plan.resolvers.push_back(*server);
  }
  return {};
}

}  // namespace

void SlistDeleter::operator()(curl_slist* list) const {
  curl_slist_free_all(list);
}

bool is_credential_header(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kSigns{
      "auth", "cookie", "token", "secret", "passw", "key", "session", "credential", "jwt", "sig"};
  const std::string plain = lower(name);
  return std::any_of(kSigns.begin(), kSigns.end(),
                     [&](std::string_view sign) { return plain.find(sign) != std::string::npos; });
}

FileStamp stamp_of(const std::vector<std::string>& files) {
  FileStamp stamp;
  for (const std::string& file : files) stamp.add(file);
  return stamp;
}

core::Result<std::shared_ptr<ProbePlan>> make_plan(const core::CheckOptions& options,
                                                   const PlanGround& ground, core::WallTime now) {
  auto plan = std::make_shared<ProbePlan>();
  plan->options = options;
  plan->files = files_of(options);
  plan->renewal.stamp = stamp_of(plan->files).text;  // Before they are read: a later change shows.
  if (auto fit = check_headers(options, ground); !fit) return fit.error();
  if (auto fit = parse_addresses(*plan, ground); !fit) return fit.error();

  const auto version = parse_tls_version(options.tls_min);
  if (!version)
    return Error{ErrorKind::Invalid,
                 "tls_min: \"" + options.tls_min + "\" is not one of 1.0, 1.1, 1.2, 1.3"};
  plan->tls_min = *version;
  plan->trust = ground.trust->system();
  if (!options.ca_file.empty()) {
    auto trust = ground.trust->file(options.ca_file);
    if (!trust) return trust.error();
    plan->trust = std::move(*trust);
  }
  if (!options.client_cert_file.empty()) {
    auto client = ClientCertificate::load(options.client_cert_file, options.client_key_file, now);
    if (!client) return client.error();
    plan->client = std::move(*client);
  }

  for (const std::string& text : options.keyword) {
    if (!text.empty()) plan->body_rules.keyword.push_back(text);
  }
  for (const std::string& text : options.forbidden) {
    if (!text.empty()) plan->body_rules.forbidden.push_back(text);
  }
  auto content = make_content_rules(options);
  if (!content) return content.error();
  plan->content = std::move(*content);
  plan->body_rules.keep_page = options.detect_error_pages;
  plan->body_rules.ignore_case = options.ignore_case;
  plan->body_rules.keep_text = plan->content.judge_text();
  plan->body_rules.size_max = options.size_max_bytes;

  auto http = parse_http_version(options.http_version);
  if (!http) return http.error();
  plan->http = *http;
  auto exchange = parse_exchange(options.exchange);
  if (!exchange) return exchange.error();
  plan->exchange = *exchange;
  std::string bearer;
  if (auto read = read_secrets(*plan, bearer); !read) return read.error();
  plan->cookies = own_cookies(options);
  auto headers = make_headers(options, ground, bearer, true, plan->lines);
  if (!headers) return headers.error();
  plan->headers = std::move(*headers);
  auto elsewhere = make_headers(options, ground, bearer, false, plan->lines_elsewhere);
  if (!elsewhere) return elsewhere.error();
  plan->headers_elsewhere = std::move(*elsewhere);
  plan->frames_itself = frames_itself(options);
  return plan;
}

}  // namespace watchwheel::checker

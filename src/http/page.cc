// SPDX-License-Identifier: Apache-2.0
#include "http/page.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace watchwheel::http {
namespace {

using Json = nlohmann::ordered_json;  // The engine's order is the reading order.

// No script and nothing from elsewhere: the response's policy forbids both.
constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Watchwheel</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="10">
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
       color: #1c2024; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 1.6rem }
table { border-collapse: collapse } th, td { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0 }
th { font-weight: 500; color: #555 } td td, td th { font-size: 95% }
.good { color: #12633a } .bad { color: #a31621; font-weight: 600 }
code { background: #f2f3f5; padding: .05rem .3rem }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #16181b } th { color: #a0a6ad }
  .good { color: #6fd19c } .bad { color: #ff8f8f } code { background: #25282c } a { color: #8ab4f8 } }
</style></head><body>
<h1>Watchwheel</h1>
)";

constexpr std::string_view kLinks = R"(<h2>Elsewhere here</h2>
<ul>
<li><a href="/metrics">/metrics</a> for Prometheus</li>
<li><a href="/api/v1/status">/api/v1/status</a> this page's figures as JSON
 (<a href="/api/v1/openapi.json">all of the API</a>)</li>
<li><a href="/-/healthy">/-/healthy</a> and <a href="/-/ready">/-/ready</a> for supervisors</li>
<li><code>watchwheel status</code> and <code>watchwheel incidents --open</code> on the command line</li>
<li><code>curl -X POST http://ADDRESS/-/reload</code> reads the configuration again</li>
</ul>
</body></html>
)";

// Enough for the eye; the exact figures are in the API.
std::string rounded(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

class StatusTable {
 public:
  explicit StatusTable(std::string& out) : out_(out) {}

  void value(const Json& json, std::size_t depth) {
    if (json.is_object() || json.is_array()) {
      if (json.empty()) {
        out_ += "none";
      } else if (depth >= kPageDepthMax) {
        out_ += "&hellip;";
      } else {
        table(json, depth);
      }
    } else if (json.is_string()) {
      out_ += escape_html(json.get_ref<const std::string&>());
    } else if (json.is_number_float()) {
      out_ += rounded(json.get<double>());
    } else if (json.is_null()) {
      out_ += "&ndash;";
    } else {
      out_ += escape_html(json.dump());
    }
  }

 private:
  void table(const Json& json, std::size_t depth) {
    out_ += "<table>";
    std::size_t index = 0;
    for (const auto& item : json.items()) {
      if (++rows_ > kPageRowsMax) {
        out_ += "<tr><td>and more: see /api/v1/status</td></tr>";
        break;
      }
      out_ += "<tr><th>" + (json.is_array() ? std::to_string(++index) : escape_html(item.key())) +
              "</th><td>";
      value(item.value(), depth + 1);
      out_ += "</td></tr>\n";
    }
    out_ += "</table>";
  }

  std::string& out_;
  std::size_t rows_ = 0;
};

void state_line(std::string& out, std::string_view question, bool good, std::string_view why) {
  out += "<tr><th>" + std::string(question) + "</th><td class=\"" + (good ? "good" : "bad") + "\">";
  out += good ? "yes" : "no: " + escape_html(why);
  out += "</td></tr>\n";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
          out += "\xEF\xBF\xBD";
        } else {
          out += c;
        }
    }
  }
  return out;
}

std::string render_page(const PageState& state) {
  std::string out(kHead);
  out += "<table>\n";
  state_line(out, "Makes progress", state.healthy, state.healthy_why);
  state_line(out, "Checks its sites", state.ready, state.ready_why);
  out += "</table>\n<h2>Status</h2>\n";

  const Json status = Json::parse(state.status_json, nullptr, /*allow_exceptions=*/false);
  if (status.is_discarded()) {
    out += "<p class=\"bad\">The engine's status could not be read.</p>\n";
  } else {
    StatusTable(out).value(status, 0);
  }
  out += kLinks;
  return out;
}

}  // namespace watchwheel::http

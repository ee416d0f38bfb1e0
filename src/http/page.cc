// SPDX-License-Identifier: Apache-2.0
#include "http/page.h"

#include <algorithm>
#include <array>
#include <cmath>
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
.summary { font-size: 1.15rem; padding: .5rem .8rem; border-left: .3rem solid #888; background: #f2f3f5 }
.summary.ok { border-color: #12633a } .summary.late, .summary.loading { border-color: #b7791f } .summary.fault { border-color: #a31621 }
figure { display: inline-block; margin: .4rem 1.6rem .4rem 0 } figcaption { color: #555; font-size: 90% }
svg { background: #f2f3f5; display: block } polyline { fill: none; stroke: #2b6cb0; stroke-width: 1.5 }
meter { width: 10rem; vertical-align: middle }
code { background: #f2f3f5; padding: .05rem .3rem }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #16181b } th { color: #a0a6ad }
  .good { color: #6fd19c } .bad { color: #ff8f8f } code, .summary, svg { background: #25282c } a { color: #8ab4f8 }
  figcaption { color: #a0a6ad } polyline { stroke: #8ab4f8 } }
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

// The last minutes of one figure, beside its highest value.
void history(std::string& out, const Json& values, std::string_view what) {
  constexpr double kWidth = 360;
  constexpr double kHeight = 60;
  if (!values.is_array() || values.size() < 2 || values.size() > kPageHistoryMax) return;
  double top = 0;
  for (const Json& value : values) {
    if (value.is_number()) top = std::max(top, value.get<double>());
  }
  if (!std::isfinite(top)) return;
  std::string points;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = values[i].is_number() ? std::max(0.0, values[i].get<double>()) : 0;
    const double x = kWidth * static_cast<double>(i) / static_cast<double>(values.size() - 1);
    points +=
        rounded(x) + "," + rounded(kHeight - (top > 0 ? value / top * (kHeight - 2) : 0) - 1) + " ";
  }
  out +=
      "<figure><svg width=\"360\" height=\"60\" viewBox=\"0 0 360 60\" role=\"img\"><polyline "
      "points=\"" +
      points + "\"/></svg><figcaption>" + std::string(what) + ", to " + rounded(top) +
      "</figcaption></figure>\n";
}

// The sentence on top; its colour by the closed list of standings.
void summary(std::string& out, const Json& status) {
  if (!status.is_object() || !status.contains("summary")) return;
  const Json& told = status["summary"];
  if (!told.is_object() || !told.contains("text") || !told["text"].is_string()) return;
  std::string_view standing;
  for (const std::string_view known : {"ok", "loading", "late", "fault"}) {
    if (told.contains("standing") && told["standing"] == known) standing = known;
  }
  out += "<p class=\"summary " + std::string(standing) + "\">" +
         escape_html(told["text"].get_ref<const std::string&>()) + "</p>\n";
}

void histories(std::string& out, const Json& status) {
  if (!status.is_object() || !status.contains("recent") || !status["recent"].is_object()) return;
  const Json& recent = status["recent"];
  const auto values = [&](const char* key) { return recent.contains(key) ? recent[key] : Json(); };
  history(out, values("done_per_second"), "checks done per second, the last minutes");
  history(out, values("lag_p99_s"), "lag p99 in seconds, the last minutes");
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
  // Rows that have the same columns: the lanes, the queues.
  static bool is_list_of_rows(const Json& json) {
    if (!json.is_array() || json.empty() || !json[0].is_object() || json[0].empty()) return false;
    return std::all_of(json.begin(), json.end(), [&](const Json& row) {
      return row.is_object() && row.size() == json[0].size() &&
             std::all_of(row.items().begin(), row.items().end(),
                         [&](const auto& item) { return json[0].contains(item.key()); });
    });
  }

  void list_of_rows(const Json& json, std::size_t depth) {
    out_ += "<table><tr>";
    for (const auto& item : json[0].items()) out_ += "<th>" + escape_html(item.key()) + "</th>";
    out_ += "</tr>\n";
    for (const Json& row : json) {
      if ((rows_ += row.size()) > kPageRowsMax) {
        out_ += "<tr><td>and more: see /api/v1/status</td></tr>";
        break;
      }
      out_ += "<tr>";
      for (const auto& item : json[0].items()) {
        out_ += "<td>";
        value(row[item.key()], depth + 1);
        out_ += "</td>";
      }
      out_ += "</tr>\n";
    }
    out_ += "</table>";
  }

  void meter(double share) {
    out_ += "<meter min=\"0\" max=\"1\" value=\"" + rounded(std::clamp(share, 0.0, 1.0)) +
            "\"></meter> ";
  }

  void table(const Json& json, std::size_t depth, bool meters = false) {
    if (is_list_of_rows(json)) return list_of_rows(json, depth);
    out_ += "<table>";
    std::size_t index = 0;
    for (const auto& item : json.items()) {
      if (depth == 0 && (item.key() == "summary" || item.key() == "recent"))
        continue;  // Shown above.
      if (++rows_ > kPageRowsMax) {
        out_ += "<tr><td>and more: see /api/v1/status</td></tr>";
        break;
      }
      out_ += "<tr><th>" + (json.is_array() ? std::to_string(++index) : escape_html(item.key())) +
              "</th><td>";
      if (meters && item.value().is_number()) meter(item.value().get<double>());
      if (depth == 0 && item.key() == "pressure" && item.value().is_object()) {
        table(item.value(), depth + 1, true);
      } else {
        value(item.value(), depth + 1);
      }
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
  const Json status = Json::parse(state.status_json, nullptr, /*allow_exceptions=*/false);
  std::string out(kHead);
  summary(out, status);
  out += "<table>\n";
  state_line(out, "Makes progress", state.healthy, state.healthy_why);
  state_line(out, "Checks its sites", state.ready, state.ready_why);
  out += "</table>\n<h2>Status</h2>\n";
  histories(out, status);
  if (status.is_discarded()) {
    out += "<p class=\"bad\">The engine's status could not be read.</p>\n";
  } else {
    StatusTable(out).value(status, 0);
  }
  out += kLinks;
  return out;
}

}  // namespace watchwheel::http

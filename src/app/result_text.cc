// SPDX-License-Identifier: Apache-2.0
#include "app/result_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "app/result_words.h"
#include "core/hex.h"

namespace watchwheel::app {
namespace {

constexpr std::size_t kIndent = 2;
constexpr std::size_t kValueAt = 14;  // Column of the values beside their labels.
constexpr std::size_t kBarAt = 31;

std::string shown_ms(core::Duration d) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.1f ms", core::to_ms(d));
  return text.data();
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string right_aligned(std::string text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

class ResultPage {
 public:
  ResultPage(const core::ProbeResult& result, const TextStyle& style)
      : result_(result), style_(style), page_(style) {
    if (result.trace) hops_ = result.trace->hops;
  }

  std::string write(std::string_view url) {
    verdict(without_userinfo(url));
    if (result_.cause != core::Cause::TargetInvalid || result_.redirects != 0) times();
    redirects();
    addresses();
    if (result_.tls) certificate();
    content();
    warnings();
    if (style_.verbose) headers();
    return page_.take();
  }

 private:
  void verdict(const std::string& url) {
    switch (result_.outcome()) {
      case core::Outcome::Up:
        page_.row(0, "UP", 4, url, Ink::Good);
        break;
      case core::Outcome::Down:
        page_.row(0, "DOWN", 6, url, Ink::Bad);
        break;
      case core::Outcome::NotMeasured:
        page_.row(0, "NOT MEASURED", kValueAt, url, Ink::Unsure);
        page_.text(kIndent, "nothing can be said about the site");
        break;
    }
    if (result_.cause != core::Cause::Ok) {
      page_.text(kIndent, std::string(core::to_string(result_.cause)) + ": " +
                              std::string(cause_words(result_.cause)));
    }
    if (!result_.detail.empty()) page_.text(kIndent, result_.detail);
    std::string facts;
    const auto add = [&facts](const std::string& fact) {
      facts += (facts.empty() ? "" : ", ") + fact;
    };
    if (result_.http_status != 0) add("status " + std::to_string(result_.http_status));
    if (!result_.address.empty()) {
      const bool reached = result_.timings.connect.has_value();
      add((reached ? "from " : "at ") + result_.address);
    }
    if (result_.redirects != 0) add("after " + counted(result_.redirects, "redirect", "redirects"));
    if (result_.cause != core::Cause::Ok)
      add("ended in phase " + std::string(core::to_string(result_.phase)));
    add(shown_ms(result_.timings.total) + " in all");
    page_.text(kIndent, facts);
    if (style_.verbose && result_.started_at != core::kNoWallTime)
      page_.text(kIndent, "started at " + core::to_iso8601(result_.started_at));
  }

  // The row of a phase.
  static std::string_view ended_in(core::Phase phase) {
    switch (phase) {
      case core::Phase::Dns:
        return "dns";
      case core::Phase::Connect:
        return "connect";
      case core::Phase::Tls:
        return "tls";
      case core::Phase::Request:
      case core::Phase::FirstByte:
        return "first byte";
      case core::Phase::Body:
        return "transfer";
      default:
        return "";
    }
  }

  // One row for each redirect that was followed, then the phases of the last hop, each where it lies in the whole.
  void times() {
    page_.heading("Time");
    const double total = core::to_ms(result_.timings.total);
    core::Duration at{};
    // The phase in which it ended has no time of its own: what was left of the whole went into it.
    bool open = result_.cause != core::Cause::Ok;
    const auto row = [&](std::string label, std::optional<core::Duration> took) {
      const core::Duration from = at;
      if (!took && open && label == ended_in(result_.phase)) {
        took = std::max(core::Duration::zero(), result_.timings.total - at);
        label += " (end)";
        open = false;
      }
      if (took) at += *took;
      page_.bar(kIndent, label, kBarAt, took ? shown_ms(*took) : "-", core::to_ms(from),
                core::to_ms(at), total);
    };
    for (std::size_t i = 0; i + 1 < hops_.size(); ++i)
      row("redirect " + std::to_string(i + 1), hops_[i].timings.total);
    const core::Timings& t = result_.timings;
    row("dns", t.dns);
    row("connect", t.connect);
    row("tls", t.tls);
    row("first byte", t.first_byte);
    row("transfer", t.transfer);
    page_.bar(kIndent, "total", kBarAt, shown_ms(t.total), 0, 0, 0);
  }

  void redirects() {
    if (result_.redirects == 0) return;
    page_.heading("Redirects");
    if (hops_.empty()) page_.row(kIndent, "last", kValueAt, without_userinfo(result_.final_url));
    for (std::size_t i = 0; i < hops_.size(); ++i) {
      const core::HopTrace& hop = hops_[i];
      const std::string status = hop.status == 0 ? "-" : std::to_string(hop.status);
      page_.row(kIndent, right_aligned(std::to_string(i + 1), 2) + "  " + status, kValueAt,
                without_userinfo(hop.url) +
                    (hop.http_version.empty() ? "" : "  (" + hop.http_version + ")"));
    }
  }

  void addresses() {
    const bool any = std::any_of(hops_.begin(), hops_.end(), [](const core::HopTrace& hop) {
      return !hop.tries.empty() || !hop.addresses.empty();
    });
    if (!any) return;
    page_.heading("Addresses");
    for (std::size_t i = 0; i < hops_.size(); ++i) addresses_of(hops_[i], i + 1);
  }

  void addresses_of(const core::HopTrace& hop, std::size_t number) {
    std::size_t indent = kIndent;
    if (hops_.size() > 1) {
      page_.text(kIndent, "of hop " + std::to_string(number));
      indent += kIndent;
    }
    for (const core::AddressTry& tried : hop.tries) {
      // So wide that any IPv6 address fits.
      page_.row(indent, tried.address, indent + 40,
                right_aligned("+" + shown_ms(tried.after), 11) + "  " + tried.result);
    }
    std::string others;
    for (const std::string& address : hop.addresses) {
      const bool tried =
          std::any_of(hop.tries.begin(), hop.tries.end(),
                      [&](const core::AddressTry& t) { return t.address == address; });
      if (!tried) others += (others.empty() ? "" : ", ") + address;
    }
    if (!others.empty()) page_.row(indent, "not tried", indent + 12, others);
    if (hop.dns_cached) page_.text(indent, "(the name was not asked for: known already)");
  }

  void certificate() {
    const core::TlsFacts& tls = *result_.tls;
    page_.heading("Certificate and TLS");
    const auto row = [this](std::string_view label, const std::string& value) {
      if (!value.empty()) page_.row(kIndent, label, kValueAt, value);
    };
    row("subject", tls.subject);
    row("issuer", tls.issuer);
    std::string names;
    for (const std::string& san : tls.sans) names += (names.empty() ? "" : ", ") + san;
    row("names", names);
    row("valid", validity(tls));
    row("key", tls.key_type);
    for (std::size_t i = 0; i < tls.chain.size(); ++i)
      row(i == 0 ? "chain" : "", std::to_string(i + 1) + ". " + tls.chain[i]);
    row("sha256", core::to_hex(tls.fingerprint));
    row("protocol", tls.version + (tls.cipher.empty() ? "" : ", " + tls.cipher));
  }

  [[nodiscard]] std::string validity(const core::TlsFacts& tls) const {
    if (tls.not_after == core::kNoWallTime) return "";
    std::string text;
    if (tls.not_before != core::kNoWallTime) text = certificate_time(tls.not_before) + " to ";
    text += certificate_time(tls.not_after);
    const std::int64_t days = days_until(tls.not_after, result_.started_at);
    if (tls.not_after < result_.started_at) {
      return text + ", expired " +
             (days == 0 ? "today"
                        : counted(static_cast<std::uint64_t>(-days), "day", "days") + " ago");
    }
    text += ", " + counted(static_cast<std::uint64_t>(days), "day", "days") + " left";
    const int step = core::expiry_step_days(tls.not_after, result_.started_at);
    if (step != 0) text += " (within the step of " + std::to_string(step) + ")";
    return text;
  }

  void content() {
    const bool any = result_.trace && !result_.trace->findings.empty();
    if (!any && result_.body_bytes == 0) return;
    page_.heading("Content");
    page_.row(kIndent, "body", kValueAt, counted(result_.body_bytes, "byte", "bytes") + " read");
    if (!any) return;
    for (const std::string& finding : result_.trace->findings) page_.text(kIndent, finding);
  }

  void warnings() {
    if (result_.warnings.empty()) return;
    page_.heading("Warnings");
    for (const core::Warning warning : kWarnings) {
      if (!result_.warnings.has(warning)) continue;
      page_.row(kIndent, core::to_string(warning), kIndent + 20, warning_words(warning, result_),
                Ink::Unsure);
    }
  }

  void headers() {
    for (std::size_t i = 0; i < hops_.size(); ++i) {
      const core::HopTrace& hop = hops_[i];
      if (hop.request.empty() && hop.response.empty()) continue;
      page_.heading(hops_.size() > 1 ? "Header lines of hop " + std::to_string(i + 1)
                                     : std::string("Header lines"));
      for (const std::string& line : hop.request) page_.row(kIndent, ">", kIndent + 2, line);
      for (const std::string& line : hop.response) page_.row(kIndent, "<", kIndent + 2, line);
    }
  }

  const core::ProbeResult& result_;
  const TextStyle& style_;
  TextPage page_;
  std::vector<core::HopTrace> hops_;
};

}  // namespace

std::string result_text(std::string_view url, const core::ProbeResult& result,
                        const TextStyle& style) {
  return ResultPage(result, style).write(url);
}

}  // namespace watchwheel::app

// SPDX-License-Identifier: Apache-2.0
#include "fleet/faults.h"

#include <algorithm>

namespace watchwheel::fleet {
namespace {

using enum FaultKind;
using S = FaultStage;

constexpr std::array<FaultFacts, kFaultKinds> kTable{{
    {None, "none", S::None, "ok", "an ordinary page with status 200"},
    {Nxdomain, "nxdomain", S::Dns, "dns_nxdomain", "DNS says the name does not exist"},
    {Nodata, "nodata", S::Dns, "dns_no_address", "DNS says the name has no address"},
    {Servfail, "servfail", S::Dns, "dns_servfail", "DNS answers SERVFAIL"},
    {DnsRefused, "dns_refused", S::Dns, "dns_refused", "DNS answers REFUSED"},
    {DnsSilent, "dns_silent", S::Dns, "dns_timeout", "DNS answers other names, never this one"},
    {DnsMalformed, "dns_malformed", S::Dns, "dns_malformed",
     "DNS answers a record that is cut off within its data"},
    {Refused, "refused", S::Connect, "connect_refused",
     "the name points to an address that answers every SYN with RST"},
    {Silent, "silent", S::Connect, "connect_timeout",
     "the name points to an address that drops every SYN"},
    {TlsExpired, "tls_expired", S::Tls, "tls_cert_expired", "the leaf ended three days ago"},
    {TlsNotYet, "tls_not_yet", S::Tls, "tls_cert_not_yet_valid", "the leaf begins in three days"},
    {TlsWrongHost, "tls_wrong_host", S::Tls, "tls_cert_hostname", "the leaf is for another name"},
    {TlsSelfSigned, "tls_self_signed", S::Tls, "tls_cert_self_signed",
     "the leaf signed itself; no chain"},
    {TlsUnknownIssuer, "tls_unknown_issuer", S::Tls, "tls_cert_untrusted",
     "the chain leads to a root nobody trusts"},
    {TlsAlert, "tls_alert", S::Tls, "tls_handshake",
     "the client hello is answered with the alert handshake_failure"},
    {TlsStall, "tls_stall", S::Tls, "tls_timeout", "the client hello is never answered"},
    {NoAnswer, "no_answer", S::Http, "http_timeout", "reads the request and never answers"},
    {Reset, "reset", S::Http, "http_closed", "reads the request and resets the connection"},
    {Closed, "closed", S::Http, "http_closed", "reads the request and closes without a byte"},
    {Garbage, "garbage", S::Http, "http_malformed", "answers bytes that are not HTTP, and closes"},
    {Status500, "status_500", S::Http, "http_status", "answers 500"},
    {Status404, "status_404", S::Http, "http_status", "answers 404"},
    {RedirectLoop, "redirect_loop", S::Http, "redirect_too_many",
     "redirects to a place that redirects to itself"},
    {RedirectInvalid, "redirect_invalid", S::Http, "redirect_invalid",
     "redirects to something that is not a URL"},
    {Truncated, "truncated", S::Http, "body_truncated",
     "closes 512 bytes before the promised Content-Length"},
    {SlowBody, "slow_body", S::Http, "body_timeout",
     "sends the head, then one byte of body a second"},
    {BadChunks, "bad_chunks", S::Http, "body_malformed",
     "sends a chunked body with a chunk size that is no number"},
    {EndlessHead, "endless_head", S::Http, "http_malformed",
     "sends header lines as fast as they are taken, and no end of them"},
    {ErrorPage, "error_page", S::Http, "content_error_page",
     "status 200 with the page of a WordPress that lost its database"},
    {SlowOk, "slow_ok", S::Fine, "ok", "a good page after two seconds"},
    {RedirectOk, "redirect_ok", S::Fine, "ok", "one redirect, then a good page"},
    {ChunkedOk, "chunked_ok", S::Fine, "ok", "a good page in chunks"},
    {ArticleOk, "article_ok", S::Fine, "ok",
     "a good page whose text quotes the words of an error page"},
    {EndlessBody, "endless_body", S::Fine, "ok",
     "a body as fast as it is taken, and no end of it; nobody has to read it all"},
    {GzipBomb, "gzip_bomb", S::Fine, "ok",
     "the same, compressed a thousandfold"},
}};

constexpr bool is_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].kind) != i) return false;
  }
  return true;
}
static_assert(is_in_order(), "facts_of() indexes the table by kind");

}  // namespace

const std::array<FaultFacts, kFaultKinds>& fault_table() noexcept {
  return kTable;
}

const FaultFacts& facts_of(FaultKind kind) noexcept {
  return kTable[static_cast<std::size_t>(kind)];
}

std::optional<FaultKind> fault_by_name(std::string_view name) noexcept {
  for (const FaultFacts& facts : kTable) {
    if (facts.name == name) return facts.kind;
  }
  return std::nullopt;
}

std::string_view stage_name(FaultStage stage) noexcept {
  switch (stage) {
    case S::None:
      return "none";
    case S::Dns:
      return "dns";
    case S::Connect:
      return "connect";
    case S::Tls:
      return "tls";
    case S::Http:
      return "http";
    case S::Fine:
      return "fine";
  }
  return "none";
}

FaultBoard::FaultBoard(const SiteMap& map) : map_(map), sites_(map.sites()) {}

void FaultBoard::begin_window() noexcept {
  for (Site& site : sites_) site.was_broken = is_broken(static_cast<FaultKind>(site.kind));
}

std::string FaultBoard::problem_of(const FaultSwitch& wish) const {
  if (wish.sites.last >= map_.sites() || wish.sites.first > wish.sites.last) {
    return "these sites do not exist: the last one is " + std::to_string(map_.sites() - 1);
  }
  if (facts_of(wish.kind).stage == FaultStage::Tls && wish.sites.last >= map_.https()) {
    return std::string(facts_of(wish.kind).name) + " needs HTTPS sites: " +
           (map_.https() == 0 ? "there are none, use --https"
                              : "use sites up to " + std::to_string(map_.https() - 1));
  }
  return {};
}

std::string FaultBoard::schedule(const FaultSwitch& wish, Time start, Time now) {
  if (std::string problem = problem_of(wish); !problem.empty()) return problem;
  if (due_.size() + 2 > kSwitchesMax) {
    return "too many switches wait: at most " + std::to_string(kSwitchesMax);
  }
  const std::uint32_t switch_no = ++switch_last_;
  const Time begins = start + wish.at;
  push({begins, ++order_last_, switch_no, false, wish.kind, wish.sites});
  if (wish.lasts) {
    push({begins + *wish.lasts, ++order_last_, switch_no, true, wish.kind, wish.sites});
  }
  advance(now);
  return {};
}

void FaultBoard::clear(SiteRange sites) noexcept {
  for (std::uint32_t i = sites.first; i <= sites.last && i < sites_.size(); ++i) {
    sites_[i].kind = 0;
  }
}

void FaultBoard::advance(Time now) {
  while (!due_.empty() && due_.front().when <= now) {
    std::pop_heap(due_.begin(), due_.end(), later);
    const Due due = due_.back();
    due_.pop_back();
    apply(due);
  }
}

Time FaultBoard::next() const noexcept {
  return due_.empty() ? Time::max() : due_.front().when;
}

std::vector<FaultBoard::Run> FaultBoard::runs(std::size_t runs_max) const {
  std::vector<Run> runs;
  for (std::uint32_t i = 0; i < sites_.size(); ++i) {
    const FaultKind kind = this->kind(i);
    if (kind == FaultKind::None) continue;
    const bool goes_on =
        !runs.empty() && runs.back().kind == kind && runs.back().sites.last + 1 == i;
    if (goes_on) {
      runs.back().sites.last = i;
    } else if (runs.size() < runs_max) {
      runs.push_back({kind, {i, i}});
    } else {
      break;
    }
  }
  return runs;
}

bool FaultBoard::later(const Due& a, const Due& b) noexcept {
  return a.when != b.when ? a.when > b.when : a.order > b.order;
}

void FaultBoard::push(Due due) {
  due_.push_back(due);
  std::push_heap(due_.begin(), due_.end(), later);
}

void FaultBoard::apply(const Due& due) noexcept {
  for (std::uint32_t i = due.sites.first; i <= due.sites.last; ++i) {
    Site& site = sites_[i];
    if (due.is_end) {
      if (site.switch_no == due.switch_no) site.kind = 0;
      continue;
    }
    site.kind = static_cast<std::uint8_t>(due.kind);
    site.switch_no = due.switch_no;
    site.was_broken = site.was_broken || is_broken(due.kind);
  }
}

}  // namespace watchwheel::fleet

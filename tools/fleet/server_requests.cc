// SPDX-License-Identifier: Apache-2.0
// The half of Server that looks into the bytes: requests for sites, for the control port, for DNS.
#include <sys/epoll.h>

#include "fleet/server.h"

namespace watchwheel::fleet {
namespace {

constexpr Duration kSlowOk = std::chrono::seconds(2);
// A client that gives up sooner than this costs less by a send into the void than by being watched.
constexpr Duration kUnwatchedMax = std::chrono::seconds(1);

}  // namespace

void Server::take(Connection& row, std::string_view data) {
  std::string carried;
  if (row.spill && !row.spill->in.empty()) {
    carried = std::move(row.spill->in);
    row.spill->in.clear();
    carried.append(data);
    data = carried;
  }
  while (!data.empty() && row.is_open() && row.stage == Stage::Reading) {
    const std::size_t skipped = std::min<std::uint64_t>(row.skip, data.size());
    row.skip -= skipped;
    data.remove_prefix(skipped);
    if (data.empty()) break;
    const std::size_t taken =
        row.protocol == Protocol::DnsTcp ? serve_dns(row, data) : take_request(row, data);
    if (taken == 0) break;
    data.remove_prefix(taken);
  }
  if (row.is_open() && !data.empty()) stash(row, data);
}

void Server::stash(Connection& row, std::string_view data) {
  if (row.skip > 0) {  // The body of a request whose answer is under way.
    const std::size_t skipped = std::min<std::uint64_t>(row.skip, data.size());
    row.skip -= skipped;
    data.remove_prefix(skipped);
  }
  if (data.empty()) return;
  if (!row.spill) row.spill = std::make_unique<Spill>();
  if (row.spill->in.size() + data.size() > 2 * kRequestHeadMax) {
    ++counts_.bad_heads;
    return close(row);
  }
  row.spill->in.append(data);
}

// Serves the request at the front of `data`. Returns its length, 0 when it is not yet complete or
// the connection is closed.
std::size_t Server::take_request(Connection& row, std::string_view data) {
  RequestHead head;
  switch (read_request_head(data, head)) {
    case HeadState::NeedMore:
      return 0;
    case HeadState::TooLarge:
      refuse_head(row, "431 Request Header Fields Too Large");
      return 0;
    case HeadState::Malformed:
      refuse_head(row, "400 Bad Request");
      return 0;
    case HeadState::Complete:
      break;
  }
  row.skip = head.content_length;
  if (head.has_chunked_body) head.keep_alive = false;
  const std::size_t length = head.length;
  if (row.protocol == Protocol::Control)
    serve_control(row, head, now());
  else
    serve_site(row, head, now());
  return row.is_open() ? length : 0;
}

std::uint32_t Server::site_of(const Connection& row, const RequestHead& head) {
  const auto named = map_.by_name(head.host);
  if (named) {
    if (map_.address(*named) != row.address) ++counts_.wrong_addresses;
    return *named;
  }
  ++counts_.unknown_hosts;
  return map_.by_address(row.address).value_or(kNoSite);
}

Duration Server::delay_for(FaultKind kind) noexcept {
  if (is_broken(kind)) return Duration{0};
  if (kind == FaultKind::SlowOk) return kSlowOk;
  if (config_.delay_jitter <= Duration{0}) return config_.delay;
  random_ ^= random_ << 13U;
  random_ ^= random_ >> 7U;
  random_ ^= random_ << 17U;
  const auto span = static_cast<std::uint64_t>(config_.delay_jitter.count());
  return config_.delay + Duration(static_cast<std::int64_t>(random_ % span));
}

void Server::serve_site(Connection& row, const RequestHead& head, Time now) {
  const std::uint32_t site = site_of(row, head);
  const FaultKind kind = site == kNoSite ? FaultKind::None : board_.kind(site);
  const FaultStage stage = facts_of(kind).stage;
  const bool is_hop = head.target.starts_with(kHopPrefix);
  if (site != kNoSite && !is_hop && !row.asked_by_hello) {
    // With a fault in DNS the query was the asking; only a name from a cache comes without one.
    if (stage == FaultStage::Dns || stage == FaultStage::Connect)
      observer_.asked_by_dns(site, now);
    else
      observer_.asked(site, now);
  }
  row.asked_by_hello = false;

  const bool shows_here = stage == FaultStage::Http || stage == FaultStage::Fine;
  row.wish = {site, shows_here ? kind : FaultKind::None, is_hop, head.method == "HEAD",
              head.keep_alive && config_.keep_alive};
  row.sent = 0;
  const Duration delay = delay_for(kind);
  if (delay <= Duration{0}) {
    row.stage = Stage::Writing;
    return write(row);
  }
  row.stage = Stage::Waiting;
  arm(row, now + delay);
  if (delay > kUnwatchedMax) want(row, EPOLLIN);
}

void Server::serve_control(Connection& row, const RequestHead& head, Time now) {
  const ControlAnswer answer = control_.answer(head.method, head.target, now);
  const char* reason = answer.status == 200 ? " OK" : answer.status == 404 ? " Not Found" : " Bad";
  answer_own(row,
             "HTTP/1.1 " + std::to_string(answer.status) + reason +
                 "\r\nContent-Type: application/json\r\nContent-Length: " +
                 std::to_string(answer.body.size()) +
                 (head.keep_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n") + answer.body,
             head.keep_alive);
}

std::size_t Server::serve_dns(Connection& row, std::string_view data) {
  if (data.size() < 2) return 0;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data.data());
  const std::size_t length = (static_cast<std::size_t>(bytes[0]) << 8U) | bytes[1];
  if (data.size() < length + 2) return 0;
  std::array<std::uint8_t, kDnsMessageMax> out{};
  const std::size_t size = dns_.answer({bytes + 2, length}, now(), out);
  if (size > 0) {
    std::string framed;
    framed += static_cast<char>(size >> 8U);
    framed += static_cast<char>(size & 0xffU);
    framed.append(reinterpret_cast<const char*>(out.data()), size);
    answer_own(row, std::move(framed), true);
  }
  return row.is_open() ? length + 2 : 0;
}

void Server::refuse_head(Connection& row, std::string_view status) {
  ++counts_.bad_heads;
  answer_own(
      row, "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
      false);
}

void Server::answer_own(Connection& row, std::string bytes, bool keep_alive) {
  if (!row.spill) row.spill = std::make_unique<Spill>();
  row.spill->out = std::move(bytes);
  row.wish.keep_alive = keep_alive;
  row.sent = 0;
  row.stage = Stage::Writing;
  write(row);
}

// Fills reply_ with the answer that is under way on `row`.
void Server::make_reply(const Connection& row) {
  if (!row.spill || row.spill->out.empty()) return maker_.make(row.wish, reply_);
  reply_.front_length = 0;
  reply_.shared = row.spill->out;
  reply_.end = row.wish.keep_alive ? ReplyEnd::Keep : ReplyEnd::Close;
}

}  // namespace watchwheel::fleet

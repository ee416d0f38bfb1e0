// SPDX-License-Identifier: Apache-2.0
#include "checker/direct_transfer.h"

#include <curl/curl.h>

#include <utility>

#include "checker/request_text.h"
#include "core/ensure.h"

namespace watchwheel::checker {

using core::Cause;
using core::Phase;

// ---- beginning ----

DirectTransfer::Wants DirectTransfer::begin(const ExchangeRequest& request,
                                            ExchangeHandler& handler, std::uint64_t tag) {
  ENSURE(!seen_, "a transfer was begun while it is in use");
  Seen& seen = seen_.emplace(request.method == "HEAD");
  seen.stream.open(request.fd);
  seen.tls = request.target->tls;
  seen.plan = request.plan;
  seen.handler = &handler;
  seen.tag = tag;
  seen.request = request_text(request);
  seen.reader.keep_for(request.plan->content);
  if (request.trace) {
    seen.tracing = std::make_unique<Tracing>();
    seen.reader.keep_lines(seen.tracing->response);
  }
  if (!seen.tls) return go_on();
  seen.part = Part::Shake;
  return begin_tls(request) ? go_on() : broken(CURLE_SSL_CACERT_BADFILE);
}

bool DirectTransfer::begin_tls(const ExchangeRequest& request) {
  const Target& target = *request.target;
  handshake_.begin(*request.plan, target.host, target.literal, request.at_origin);
  const auto found =
      host_.contexts().context_for(*request.plan, request.at_origin, host_.now(), host_.wall());
  if (!found) {
    own_trouble_ = found.error().message;
    return false;
  }
  if (seen_->stream.begin_tls(found->context, target.literal ? "" : target.host) &&
      handshake_.attach(seen_->stream.session(), found->common)) {
    return true;
  }
  own_trouble_ = "no memory for TLS";
  return false;
}

void DirectTransfer::reset() {
  seen_.reset();
  handshake_.reset();
  own_trouble_.clear();
}

// ---- going on ----

DirectTransfer::Wants DirectTransfer::go_on() {
  Wants wants = Wants::Nothing;
  if (seen_->part == Part::Shake && (wants = shake()) != Wants::Nothing) return wants;
  if (seen_->part == Part::Send && (wants = send()) != Wants::Nothing) return wants;
  if (seen_->part == Part::Receive && (wants = receive()) != Wants::Nothing) return wants;
  return Wants::Nothing;
}

// Nothing: it goes on with the next part, or is over.
DirectTransfer::Wants DirectTransfer::shake() {
  switch (seen_->stream.shake()) {
    case Stream::Step::WantsRead:
      return Wants::Read;
    case Stream::Step::WantsWrite:
      return Wants::Write;
    case Stream::Step::Done:
      seen_->part = Part::Send;
      return Wants::Nothing;
    case Stream::Step::Ended:
    case Stream::Step::Failed:
      break;
  }
  return broken(CURLE_SSL_CONNECT_ERROR);
}

// While a socket takes no more of a request, a server may answer (413, 431) and never read the rest of it: in clear text that
// answer is heard. Through TLS, what waits to be sent is sent first.
DirectTransfer::Wants DirectTransfer::send() {
  Seen& seen = *seen_;
  if (seen.send_waits && !seen.tls && receive() == Wants::Nothing) return Wants::Nothing;
  std::string_view bytes = std::string_view(seen.request).substr(seen.sent);
  const Stream::Step step = seen.stream.send(bytes);
  seen.sent = seen.request.size() - bytes.size();
  switch (step) {
    case Stream::Step::WantsRead:
      return Wants::Read;
    case Stream::Step::WantsWrite:
      seen.send_waits = true;
      return seen.tls ? Wants::Write : Wants::Either;
    case Stream::Step::Done:
      break;
    case Stream::Step::Ended:
    case Stream::Step::Failed:
      return broken(CURLE_SEND_ERROR);
  }
  if (seen.tracing) {
    TraceLines lines;
    lines.add(seen.request);
    seen.tracing->request = lines.take();
  }
  seen.request = std::string{};
  seen.sent = 0;
  seen.part = Part::Receive;
  // A server may have said something behind its handshake already, of which the socket tells no more.
  return seen.stream.holds_bytes() ? Wants::Turn : Wants::Read;
}

DirectTransfer::Wants DirectTransfer::receive() {
  Stream& stream = seen_->stream;
  const std::span<char> room = host_.read_room();
  std::size_t bytes = 0;
  for (int i = 0; i < kReadsPerTurn && bytes < kBytesPerTurn; ++i) {
    std::size_t got = 0;
    switch (stream.receive(room, got)) {
      case Stream::Step::WantsRead:
        return Wants::Read;
      case Stream::Step::WantsWrite:
        return Wants::Write;
      case Stream::Step::Ended:
        return end_of_stream();
      case Stream::Step::Failed:
        return broken(CURLE_RECV_ERROR);
      case Stream::Step::Done:
        break;
    }
    bytes += got;
    seen_->came = true;
    if (!take({room.data(), got})) return Wants::Nothing;
    // The socket is empty; if more comes, or its end, we are told.
    if (!seen_->tls && got < room.size()) return Wants::Read;
  }
  return stream.holds_bytes() ? Wants::Turn : Wants::Read;
}

// False: it is over.
bool DirectTransfer::take(std::string_view bytes) {
  Seen& seen = *seen_;
  for (;;) {
    std::string_view body;
    const Http1Reader::Step step = seen.reader.take(bytes, body);
    if (!seen.first_byte && seen.reader.head().bytes() > 0) seen.first_byte = host_.now();
    switch (step) {
      case Http1Reader::Step::More:
        return true;
      case Http1Reader::Step::Head:
        if (!end_of_head()) return false;
        break;
      case Http1Reader::Step::Body:
        if (seen.body.take(body)) break;
        over(seen.body.judge_stop().value_or(Verdict{}));
        return false;
      case Http1Reader::Step::Done:
        over(seen.body.judge_end());
        return false;
      case Http1Reader::Step::Bad:
        over(seen.reader.head().complete()
                 ? Verdict{Cause::BodyMalformed, Phase::Body, seen.reader.problem()}
                 : Verdict{Cause::HttpMalformed, Phase::FirstByte, seen.reader.problem()});
        return false;
    }
  }
}

// False: no more is wanted.
bool DirectTransfer::end_of_head() {
  Seen& seen = *seen_;
  const ResponseHead& head = seen.reader.head().head();
  if (seen.handler->on_head(seen.tag, head) == HeadAnswer::Enough) {
    over({});
    return false;
  }
  seen.body.begin(*seen.plan, host_.bodies(), head);
  return true;
}

DirectTransfer::Wants DirectTransfer::end_of_stream() {
  const Http1Reader& reader = seen_->reader;
  if (reader.may_end_here()) return over(seen_->body.judge_end());
  if (reader.head().complete()) return broken(CURLE_PARTIAL_FILE);
  return broken(reader.begun() ? CURLE_RECV_ERROR : CURLE_GOT_NOTHING);
}

// ---- the end ----

DirectTransfer::Wants DirectTransfer::over(Verdict verdict) {
  seen_->verdict = std::move(verdict);
  seen_->part = Part::Over;
  return Wants::Nothing;
}

DirectTransfer::Wants DirectTransfer::broken(int code) {
  return over(judge_end(describe_end(code)));
}

Stage DirectTransfer::stage() const {
  const Seen& seen = *seen_;
  if (seen.part == Part::Shake) {
    const bool reset_at_once = !seen.stream.sent_any() && seen.stream.os_errno() != 0;
    return reset_at_once ? Stage::Connected : Stage::Tls;
  }
  if (seen.part == Part::Send && !seen.reader.begun()) {
    const bool reset_at_once = !seen.stream.sent_any() && seen.stream.os_errno() != 0;
    return reset_at_once ? Stage::Connected : Stage::Request;
  }
  return seen.reader.head().complete() ? Stage::Body : Stage::Head;
}

TransferEnd DirectTransfer::describe_end(int code) const {
  const Seen& seen = *seen_;
  TransferEnd end;
  end.curl_code = code;
  end.os_errno = seen.stream.os_errno();
  end.error_text = own_trouble_.empty() ? seen.stream.error_text() : own_trouble_;
  end.stage = stage();
  end.tls = seen.tls;
  end.alert = handshake_.alert();
  end.client = handshake_.client_asked();
  end.certificate = handshake_.certificate();
  end.answer_begun = seen.reader.begun();
  end.head_bytes = seen.reader.head().bytes();
  end.body_bytes = seen.reader.body_bytes();
  if (const auto expected = seen.reader.body_expected())
    end.body_expected = static_cast<std::int64_t>(*expected);
  return end;
}

ExchangeResult DirectTransfer::facts_so_far() {
  Seen& seen = *seen_;
  ExchangeResult result;
  result.head_complete = seen.reader.head().complete();
  result.head = std::move(seen.reader.head().head());
  result.body = seen.body.take_scan();
  result.body_cut = seen.body.cut();
  result.body_opaque = seen.body.opaque();
  result.tls_done = handshake_.done();
  result.first_byte = seen.first_byte;
  result.tls = handshake_.facts();
  if (seen.tracing) {
    result.request_lines = std::move(seen.tracing->request);
    result.response_lines = seen.tracing->response.take();
  }
  return result;
}

ExchangeResult DirectTransfer::finish() {
  ENSURE(seen_->part == Part::Over, "a transfer that goes on was asked for its end");
  Verdict verdict = std::move(seen_->verdict);
  ExchangeResult result = facts_so_far();
  result.cause = verdict.cause;
  result.phase = verdict.phase;
  result.detail = std::move(verdict.detail);
  return result;
}

ExchangeResult DirectTransfer::finish_expired(core::Duration allowed) {
  if (seen_->part == Part::Over) return finish();  // It had ended, and was not told yet.
  Verdict verdict = judge_timeout(describe_end(CURLE_OPERATION_TIMEDOUT), allowed);
  ExchangeResult result = facts_so_far();
  result.cause = verdict.cause;
  result.phase = verdict.phase;
  result.detail = std::move(verdict.detail);
  return result;
}

}  // namespace watchwheel::checker

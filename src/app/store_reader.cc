// SPDX-License-Identifier: Apache-2.0
#include "app/store_reader.h"

#include <pthread.h>

#include <charconv>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::app {
namespace {

http::Response try_again(std::string_view why, int seconds) {
  http::Response out = http::refusal(503, why);
  out.headers.emplace_back("Retry-After", std::to_string(seconds));
  return out;
}

http::Response refused(const core::Error& error) {
  switch (error.kind) {
    case core::ErrorKind::Unavailable:
    case core::ErrorKind::Unknown:
      return try_again(error.message, 5);
    case core::ErrorKind::Invalid:
      return http::refusal(400, error.message);
    case core::ErrorKind::NotFound:
      return http::refusal(404, error.message);
    case core::ErrorKind::Corrupt:
    case core::ErrorKind::Fenced:
      break;
  }
  return http::refusal(500, error.message);
}

core::Result<std::uint64_t> number_of(std::string_view text, std::string_view name,
                                      const NumberRange& range) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size() && !text.empty();
  if (whole && value >= range.least && value <= range.most) return value;
  return core::Error{core::ErrorKind::Invalid, std::string(name) + " is a number from " +
                                                   std::to_string(range.least) + " to " +
                                                   std::to_string(range.most)};
}

}  // namespace

core::Result<std::uint64_t> number_in(const http::StoreRequest& request, std::string_view name,
                                      const NumberRange& range) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) return range.usual;
  return number_of(found->second, name, range);
}

std::string text_in(const http::StoreRequest& request, std::string_view name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

core::Result<bool> flag_in(const http::StoreRequest& request, std::string_view name) {
  const std::string text = text_in(request, name);
  if (text.empty() || text == "false") return false;
  if (text == "true") return true;
  return core::Error{core::ErrorKind::Invalid, std::string(name) + " is true or false"};
}

core::Result<std::uint64_t> id_in(const http::StoreRequest& request, std::size_t index) {
  constexpr NumberRange kIds{.least = 1, .most = (std::uint64_t{1} << 63U) - 1};
  return number_of(request.values.at(index), "the id", kIds);
}

StoreReader::StoreReader(OpenStore open, std::vector<ApiRoute> routes, const core::Clock& clock)
    : open_(std::move(open)), handlers_(std::move(routes)), clock_(clock) {
  for (const ApiRoute& one : handlers_) {
    ENSURE(one.answer != nullptr, "a route of the API has somebody to answer it");
    routes_.push_back(one.route);
  }
}

StoreReader::~StoreReader() {
  stop();
}

void StoreReader::start() {
  ENSURE(!thread_.joinable(), "the store's reader is started once");
  thread_ = std::thread([this] { run(); });
}

void StoreReader::stop() {
  std::deque<Question> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(waiting_);
  }
  condition_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const Question& one : left) one.answered(try_again("the daemon is stopping", 5));
}

void StoreReader::ask(std::size_t route, http::StoreRequest request, Answered answered) {
  ENSURE(route < handlers_.size(), "a route of the API is one of its routes");
  const char* why = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      why = "the daemon is stopping";
    } else if (waiting_.size() >= kWaitingMax) {
      stats_.refused.add();
      why = "too many ask at once";
    } else {
      waiting_.push_back({.route = route,
                          .request = std::move(request),
                          .answered = std::move(answered),
                          .at = clock_.steady()});
    }
  }
  if (why != nullptr) return answered(try_again(why, 1));
  condition_.notify_one();
}

std::size_t StoreReader::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

void StoreReader::run() noexcept {
  pthread_setname_np(pthread_self(), "store-read");
  while (const std::optional<Question> question = next()) {
    question->answered(answer(*question));
    stats_.answered.add();
  }
  store_.reset();
}

std::optional<StoreReader::Question> StoreReader::next() {
  std::unique_lock lock(mutex_);
  condition_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
  if (stopping_) return std::nullopt;
  Question question = std::move(waiting_.front());
  waiting_.pop_front();
  return question;
}

http::Response StoreReader::answer(const Question& question) {
  if (clock_.steady() - question.at >= kPatience) {
    stats_.expired.add();
    return try_again("it waited for too long", 5);
  }
  if (!store_) {
    auto opened = open_();
    if (!opened) return refused(opened.error());
    store_ = *std::move(opened);
  }
  auto answered =
      handlers_[question.route].answer(question.request, {.store = *store_, .now = clock_.wall()});
  return answered ? *std::move(answered) : refused(answered.error());
}

}  // namespace watchwheel::app

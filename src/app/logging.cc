// SPDX-License-Identifier: Apache-2.0
#include "app/logging.h"

#include <pthread.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/clock.h"
#include "core/ensure.h"

namespace watchwheel::app {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return spdlog::level::debug;
    case LogLevel::Info:
      return spdlog::level::info;
    case LogLevel::Warning:
      return spdlog::level::warn;
    case LogLevel::Error:
      return spdlog::level::err;
  }
  ENSURE(false, "a log level outside its list");
}

LogLevel from_spdlog(spdlog::level::level_enum level) {
  if (level >= spdlog::level::err) return LogLevel::Error;
  if (level == spdlog::level::warn) return LogLevel::Warning;
  return level == spdlog::level::info ? LogLevel::Info : LogLevel::Debug;
}

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(LogFormat format) : format_(format) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& into) override {
    const std::int64_t unix_ms =
        std::chrono::floor<std::chrono::milliseconds>(message.time.time_since_epoch()).count();
    const std::string line = format_log_line(format_, from_spdlog(message.level), unix_ms,
                                             {message.payload.data(), message.payload.size()});
    into.append(line.data(), line.data() + line.size());
    into.push_back('\n');
  }

  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(format_);
  }

 private:
  LogFormat format_;
};

class SpdLogging final : public Logging {
 public:
  SpdLogging(LogFormat format, LogLevel level) {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    sink->set_formatter(std::make_unique<LineFormatter>(format));
    logger_ = std::make_shared<spdlog::async_logger>("watchwheel", std::move(sink), pool_,
                                                     spdlog::async_overflow_policy::overrun_oldest);
    // Its own handler prints to standard error, which is what failed.
    logger_->set_error_handler([](const std::string&) {});
    set_level(level);
  }

  // The thread first, which writes what is queued and is joined; then what it used. The other way
  // round the order was only spdlog's own, which the thread sanitizer cannot see.
  ~SpdLogging() override { pool_.reset(); }

  void write(LogLevel level, std::string_view line) noexcept override {
    try {
      logger_->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
    } catch (...) {  // No memory for a line of the log: the line is what we can do without.
      lost_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  [[nodiscard]] bool enabled(LogLevel level) const noexcept override {
    return logger_->should_log(to_spdlog(level));
  }
  void set_level(LogLevel level) noexcept override { logger_->set_level(to_spdlog(level)); }
  [[nodiscard]] std::uint64_t dropped() const noexcept override {
    return pool_->overrun_counter() + lost_.load(std::memory_order_relaxed);
  }

 private:
  // Its destructor writes what is queued and joins the thread. Ours and not spdlog's global one: no singletons.
  std::shared_ptr<spdlog::details::thread_pool> pool_ =
      std::make_shared<spdlog::details::thread_pool>(
          kLogQueueLines, 1, [] { ::pthread_setname_np(::pthread_self(), "log"); });
  std::shared_ptr<spdlog::async_logger> logger_;
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace

std::unique_ptr<Logging> Logging::make(const LogConfig& config) {
  const LogFormat format =
      resolve_log_format(config.format, std::getenv("INVOCATION_ID"), std::getenv("JOURNAL_STREAM"),
                         ::isatty(STDERR_FILENO) == 1);
  return std::make_unique<SpdLogging>(format, config.level);
}

std::string format_log_line(LogFormat format, LogLevel level, std::int64_t unix_ms,
                            std::string_view line) {
  const std::string text = printable(line, 8192);
  const std::string at = core::to_iso8601(core::from_unix_ms(unix_ms));
  if (format == LogFormat::Json) {
    const nlohmann::ordered_json json{{"ts", at},
                                      {"level", to_string(level)},
                                      {"event", text.substr(0, text.find(' '))},
                                      {"message", text}};
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  if (format == LogFormat::Journal) {
    // sd-daemon(3): the syslog priority in front of the line.
    constexpr std::array<std::string_view, 4> kPriorities{"<7>", "<6>", "<4>", "<3>"};
    return std::string(kPriorities[static_cast<std::size_t>(level)]) + text;
  }
  return at + " " + std::string(to_string(level)) + " " + text;
}

LogFormat resolve_log_format(LogFormat wanted, const char* invocation_id,
                             const char* journal_stream, bool terminal) {
  if (wanted != LogFormat::Auto) return wanted;
  if (terminal) return LogFormat::Text;
  return invocation_id != nullptr || journal_stream != nullptr ? LogFormat::Journal
                                                               : LogFormat::Text;
}

}  // namespace watchwheel::app

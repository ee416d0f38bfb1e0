// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/operator_requests.h"

#include <algorithm>
#include <utility>

namespace watchwheel::sideeffects {

const std::vector<OperatorRequest>& OperatorRequests::read(
    core::SteadyTime now, const std::function<bool(core::SiteId)>& mine) {
  auto waiting = desk_->waiting();
  read_at_ = now + (waiting ? kReadEach : kReadAgain);
  if (!waiting) {  // What was read before stays for closing(); nothing of it is done a second time.
    static const std::vector<OperatorRequest> kNone;
    stats_.errors.add();
    return kNone;
  }
  waiting_.clear();
  for (OperatorRequest& request : *waiting) {
    if (request.over) {
      refuse(request.by.request, "the event is over");
    } else if (mine(request.site)) {
      waiting_.push_back(std::move(request));
    }
  }
  return waiting_;
}

void OperatorRequests::refuse(RequestId request, const std::string& why) {
  if (desk_->refuse(request, why)) {
    stats_.refused.add();
  } else {
    stats_.errors.add();
  }
}

const OperatorRequest* OperatorRequests::closing(core::SiteId site,
                                                 core::WallTime started_at) const {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& request) {
    return request.by.act == Act::Close && request.site == site &&
           request.event_started_at == started_at;
  });
  return found == waiting_.end() ? nullptr : &*found;
}

}  // namespace watchwheel::sideeffects

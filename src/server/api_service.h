// All that the server serves: its routes, behind the access rules.
#pragma once

#include "server/access.h"
#include "server/http/answer.h"
#include "server/http/router.h"
#include "server/model_store.h"

namespace quern {

/// Immutable after construction: any thread.
class ApiService final : public HttpService {
  public:
    /// `models` must outlive this.
    ApiService(const ModelStore& models, AccessRules access);

    std::optional<HttpResponse> refuse(const HttpRequest& head) override;
    Answer answer(const HttpRequest& request, const Waker& wake) override;

  private:
    Router router_;
    const AccessRules access_;
};

}  // namespace quern

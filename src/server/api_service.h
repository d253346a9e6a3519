// All that the server serves: its routes, behind the access rules.
#pragma once

#include <memory>
#include <mutex>

#include "server/access.h"
#include "server/access_log.h"
#include "server/api_context.h"
#include "server/cors.h"
#include "server/router.h"

namespace quern {

struct ServiceOptions {
    AccessRules access;
    CorsRules cors = CorsRules();
    std::string root_path;                            ///< "/prefix" under which a proxy offers the server, or ""
    std::unique_ptr<AccessLog> access_log = nullptr;  ///< nullptr: none
    bool is_local = true;                             ///< no other machine can reach the server
};

/// Any thread.
class ApiService final : public HttpService {
  public:
    /// `models` must outlive this.
    ApiService(ModelStore& models, ServiceOptions options);

    std::optional<HttpResponse> refuse(HttpRequest& head) override;
    Answer answer(const HttpRequest& request, const Waker& wake) override;
    bool is_slow(const HttpRequest& request) const override;
    HttpHeaders headers_for(const HttpRequest& request) override;
    HttpResponse error(std::exception_ptr error, const AccessRecord& request) override;
    std::string error_event(std::exception_ptr error, const AccessRecord& request) override;
    void on_served(const AccessRecord& record) override;

    /// From now on, requests are held against these.
    void set_rules(AccessRules access, CorsRules cors);
    /// See AccessLog::reopen(). @throws DeviceError
    void reopen_access_log();

  private:
    struct Rules {
        AccessRules access;
        CorsRules cors;
    };
    std::shared_ptr<const Rules> rules() const;
    std::string local_path(const std::string& path) const;
    ErrorShape errors_for(const Endpoint* endpoint, const std::string& path) const;

    const Router router_;
    const std::string root_path_;
    const std::unique_ptr<AccessLog> access_log_;
    mutable std::mutex mutex_;
    std::shared_ptr<const Rules> rules_;  // guarded by mutex_
    ServerMetrics metrics_;
    ApiContext api_;
};

}  // namespace quern

// The bytes of every encoder, as SHA-256 sums: whoever quantizes a model, on whatever machine, gets the same file.
#include <doctest/doctest.h>
#include <openssl/evp.h>

#include <string>

#include "kernels/quant/encode_test.h"

namespace quern {
namespace {

struct Golden {
    DType dtype;
    const char* plain;     ///< of sample_values(2, n_sample)
    const char* weighted;  ///< of the same with sample_importance()
};

const Golden goldens[] = {
    {DType::q4_0, "d007b9a02f25f6a3de92700613d00a411a130d8fb1d170d7e9efd5a64fe4a35d",
     "36892aa77a8208b076aa629df4c52b3f695d190beca213c1029dd636455efc78"},
    {DType::q4_1, "b67285b0702ef11eca4c136dd5f3b0243bac3bbf9e29e59dd8d122e3a31360e9",
     "d4bad21741ddc0442c68c06b09be4606db9f4b50cdb5876f9193201152176c8d"},
    {DType::q5_0, "8fab69390912fa5bfc513e7fa2762dda120d9b13b1defa436c57cbc7e03fa2d5",
     "a4c823edb3b7e6980541214f1355133bb6c3058de79c5d9b4d73d38ff12e1447"},
    {DType::q5_1, "a64dcdd436540f8b2116d9e8a2c3e39bede4ec9b66cb5005917703005529cc31",
     "3303d4944ded3503f917561875a78abe3c6610980672b30b92a77db13da8f667"},
    {DType::q8_0, "8279463336f045722d831df8bab075a543eca01863d05f37d8e3ae0036122995",
     "b9349c4a73a727f427b496dd6bd39637c8ba7856a260df567de23d78ca497fce"},
    {DType::q2_k, "5f65d675823f574f9dff0d683d464faf169444e0de058cf8e8e9fe43e0ca827b",
     "38f8cbb6fefe0c8d75391cadc9f5c53eadebbcf8c5d5948110fe421eff5fd8f9"},
    {DType::q3_k, "d893670bc1748aec03244761368221b93ad983e922af93bb81ec19586aa44aec",
     "2b41415b6a71d1a3a7ee0404a3982c7bbd930baf4c131974036455a138548634"},
    {DType::q4_k, "4ccfaa0083b03bd5ec177acd737e66acdd7d6ce232c14151b084f9ccd9db429e",
     "005159202159f46c1098a684f663c5cf1b1de8db22ccf4fe64f60903653c2765"},
    {DType::q5_k, "cdc30c5e141dbc1f61fe6e36b5fbdf93f29a13097e2774e3e653ec1eb73a8381",
     "b0ee5bf07be7d53f42e277e2718414cf68d593bb7e74824de83983e58ef40eb9"},
    {DType::q6_k, "1a4643890c0358559222b5105b4c6bdf49aa42fac62cb3b0950dcba99832a021",
     "3320fc7d917e1ac67bf8301859f825ac4fcc6e6593de8c802145a8f4fb8cdb6b"},
    {DType::iq1_s, "f07c9b57cca0a469bb8e23cd2c16b7bcc0046a75a30be3efd2013cd7e1e397dc",
     "d4a7cc7c1af318eef20ae325417e6f88a7d8fdf8da1868d3ed723f03b5ba7d5d"},
    {DType::iq1_m, "12b71324c85d2075fb795e3fa55b38cdf3abfe4f63092863a5ce67f267e61de9",
     "278e6fc45c58f403e11db8952ac7bb225f5a37e38e6628269a18d44c45a7dc01"},
    {DType::iq2_xxs, "603fb09ee8776c9a5db05c699d4cad3ea47e3ddd2240c5adfd3c4719417412fd",
     "af5259797b44d6a5cca5e34b96e4f40f210b5198fa902dad14dbfd64ceaf8492"},
    {DType::iq2_xs, "0800a62bbc799a8471a05b71227aec561289e6126f2321f1b57b1bd99393d0c8",
     "c22745ef8f117e97937079a1afd5256cf4d300c7848e4f16fc82bfd0881e28cf"},
    {DType::iq2_s, "06b7bae621d6d1762a1945cacb3abece38b5535f6c794c8909e2646b60e349cf",
     "bb180777570ee873ea2b8b5c4625594eba15f98c4d19077762a26e15a06b4f3d"},
    {DType::iq3_xxs, "b4fca0dbd8ba9473fdca6ffb5bbd2d44bd6a96ec668e1f13ba35ea6d3ddb6942",
     "8430b34e79ca1d41e6bd07c408eabf68c6a154bda24e89a79a6fc44cce99e873"},
    {DType::iq3_s, "71306142f72ae06d9abe2e207959e581d09edfa5d0f6c8de60e9698a727592da",
     "241256725096f97093fc9a5e8ab1b5249176ddf301557f08884be1ad100522b5"},
    {DType::iq4_nl, "c8205eb3945781cd8ceb2a99c9cd788158a3ce6ae5a30d3010307fbe7e8be0b2",
     "b7df1233e1fa0ae454c3c4533665317fede8b126be5c4c57d23d138de1a2d599"},
    {DType::iq4_xs, "301be26167ee4cf5f7f2cea2b87cc62302114bcf92d0860376db7b89e23239da",
     "4f8125b6e27b10b36737b1598bb8b70bc89db5af3685a1c843cc95a4c594c354"},
    {DType::tq1_0, "7283ae026eab99bc4e95680813baa2037861a6e39350f0071ef1f3f009f0b8b7",
     "d9843b9b9fc35bb902e98cf040312fdfa600a9ff0f305783ae7d3635e8fdac71"},
    {DType::tq2_0, "f81cf1f53ef3e3fafbbbacf3d42781c8da0f2c11c098d6d2b57210cf7a54fbb0",
     "10e915d2e749b336d4662c9526907bc51cf55e3be2de2ba1ffcbfbbab12d5c29"},
    {DType::mxfp4, "0629eb0132689614328b501485eefd1561106137ea1d9bc9140b350b3279a633",
     "5cc6972721bf5e369e077b8c9e4a2edb10fe422b7fcc0b0f12ce7c01f825d605"},
};

std::string sha256(const std::vector<std::byte>& bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    REQUIRE(EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr) == 1);
    std::string out;
    for (unsigned i = 0; i < length; ++i) {
        out += "0123456789abcdef"[digest[i] >> 4];
        out += "0123456789abcdef"[digest[i] & 15];
    }
    return out;
}

}  // namespace

TEST_CASE("every encoder writes the bytes that it has always written, on every instruction set") {
    const std::vector<float> x = sample_values(2, n_sample), importance = sample_importance();
    CHECK(std::size(goldens) == std::size(encoded_formats));
    for (const auto& [dtype, plain, weighted] : goldens)
        for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
            if (isa > best_isa()) continue;
            CAPTURE(dtype_name(dtype));
            CAPTURE(to_string(isa));
            CHECK(sha256(encoded(dtype, isa, x, nullptr)) == plain);
            CHECK(sha256(encoded(dtype, isa, x, importance.data())) == weighted);
        }
}

}  // namespace quern

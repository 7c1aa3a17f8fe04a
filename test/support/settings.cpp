// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/settings.hpp"

#include <algorithm>
#include <array>

namespace reprise::detail {

namespace {

using enum treatment;

constexpr setting table[] = {
    // Whom to trust. The content of a directory cannot be read: OpenSSL reads the directory when it needs a
    // certificate. Before a context offers a session that another context verified, the chain is verified again.
    {"load_verify_dir", verified_again, declared},
    {"load_verify_store", verified_again, declared},
    {"set_default_verify_paths", verified_again, declared},
    {"set_default_verify_dir", verified_again, declared},
    {"set_default_verify_file", verified_again, declared},
    {"set_default_verify_store", verified_again, declared},
    {"set_cert_store", read, read},
    {"set1_cert_store", read, read},
    {"set0_verify_cert_store", read, read},
    {"set1_verify_cert_store", read, read},
    {"load_verify_locations", read, read},
    {"load_verify_file", read, read},
    // How to verify.
    {"set_verify", read, read},
    {"set_verify_depth", read, read},
    {"set1_param", read, read},
    {"set_security_level", read, read},
    // Two verification parameters that cannot be read.
    {"set_purpose", verified_again, declared},
    {"set_trust", verified_again, declared},
    // Cannot be read either. With a security callback, the offer is not read.
    {"set_security_callback", declared, declared},
    {"set0_security_ex_data", declared, declared},
    // Decides instead of OpenSSL, and cannot be read. If the callback has built no chain, no session is kept.
    {"set_cert_verify_callback", declared, declared},
    {"dane_enable", declared, declared},
    {"dane_mtype_set", declared, declared},
    {"dane_set_flags", declared, declared},
    {"dane_clear_flags", declared, declared},
    // Evidence that comes with a full handshake only.
    {"set_tlsext_status_cb", unrepeatable, none},
    {"set_tlsext_status_arg", unrepeatable, none},
    {"set_tlsext_status_type", unrepeatable, none},
    {"enable_ct", unrepeatable, none},
    {"set_ct_validation_callback", unrepeatable, none},
    {"disable_ct", unrepeatable, none},
    {"set_validation_callback", unrepeatable, none},
    // Logs for certificate transparency.
    {"set_ctlog_store", none, none},
    {"set0_ctlog_store", none, none},
    {"set_ctlog_list_file", none, none},
    {"set_default_ctlog_list_file", none, none},
    // Versions and ciphers.
    {"set_min_proto_version", read, read},
    {"set_max_proto_version", read, read},
    {"set_options", read, read},
    {"clear_options", read, read},
    {"set_cipher_list", read, read},
    {"set_ciphersuites", read, read},
    {"set_ssl_version", read, read},
    // A client offers these; a server does not reveal them.
    {"set1_groups", offered, declared},
    {"set1_groups_list", offered, declared},
    {"set1_curves", offered, declared},
    {"set1_curves_list", offered, declared},
    {"set_tmp_ecdh", offered, declared},
    {"set1_sigalgs", offered, declared},
    {"set1_sigalgs_list", offered, declared},
    // Negotiated anew by each handshake.
    {"set_alpn_protos", offered, none},
    {"set_tlsext_max_fragment_length", offered, none},
    {"set_post_handshake_auth", offered, none},
    {"set1_server_cert_type", offered, none},
    {"set1_client_cert_type", offered, none},
    {"set1_cert_comp_preference", none, none},
    // Key exchange of the server.
    {"set_tmp_dh", none, declared},
    {"set0_tmp_dh_pkey", none, declared},
    {"set_dh_auto", none, declared},
    {"set_tmp_dh_callback", none, declared},
    {"set_tmp_rsa", none, declared},
    {"set_tmp_rsa_callback", none, declared},
    // Certificate and key.
    {"use_certificate", identity, read},
    {"use_certificate_ASN1", identity, read},
    {"use_certificate_file", identity, read},
    {"use_certificate_chain_file", identity, read},
    {"use_cert_and_key", identity, read},
    // On a server, the certificate stands for its key.
    {"use_PrivateKey", identity, none},
    {"use_PrivateKey_ASN1", identity, none},
    {"use_PrivateKey_file", identity, none},
    {"use_RSAPrivateKey", identity, none},
    {"use_RSAPrivateKey_ASN1", identity, none},
    {"use_RSAPrivateKey_file", identity, none},
    // The chain: part of a client's identity; on a server only sent beside the certificate.
    {"add0_chain_cert", identity, none},
    {"add1_chain_cert", identity, none},
    {"set0_chain", identity, none},
    {"set1_chain", identity, none},
    {"clear_chain_certs", identity, none},
    {"add_extra_chain_cert", identity, none},
    {"clear_extra_chain_certs", identity, none},
    {"build_cert_chain", identity, none},
    // A callback that chooses the certificate.
    {"set_client_cert_cb", unrepeatable, declared},
    // Also chooses the certificate, but has no getter. A client sees afterwards that it has shown another certificate.
    {"set_cert_cb", declared, declared},
    {"set_client_cert_engine", declared, declared},
    // Which clients are asked for a certificate.
    {"set_client_CA_list", read, read},
    {"add_client_CA", read, read},
    {"set0_CA_list", read, read},
    {"add1_to_CA_list", read, read},
    // How clients sign.
    {"set1_client_sigalgs", declared, declared},
    {"set1_client_sigalgs_list", declared, declared},
    {"set1_client_certificate_types", declared, declared},
    // Other ways to know a peer.
    {"set_psk_client_callback", declared, declared},
    {"set_psk_server_callback", declared, declared},
    {"set_psk_use_session_callback", declared, declared},
    {"set_psk_find_session_callback", declared, declared},
    {"use_psk_identity_hint", declared, declared},
    {"set_srp_cb_arg", declared, declared},
    {"set_srp_client_pwd_callback", declared, declared},
    {"set_srp_password", declared, declared},
    {"set_srp_strength", declared, declared},
    {"set_srp_username", declared, declared},
    {"set_srp_username_callback", declared, declared},
    {"set_srp_verify_param_callback", declared, declared},
    // The caller's own extensions: a context that sends one is not probed, and shares no sessions.
    {"add_custom_ext", declared, declared},
    {"add_client_custom_ext", declared, declared},
    {"add_server_custom_ext", declared, declared},
    {"use_serverinfo", declared, declared},
    {"use_serverinfo_ex", declared, declared},
    {"use_serverinfo_file", declared, declared},
    // Which host is meant. On reprise's own servers, their selector.
    {"set_tlsext_servername_callback", none, declared},
    {"set_tlsext_servername_arg", none, declared},
    // Negotiated anew by each handshake, or irrelevant to who the peer is.
    {"set_alpn_select_cb", none, none},
    {"set_next_proto_select_cb", none, none},
    {"set_next_protos_advertised_cb", none, none},
    {"set_npn_advertised_cb", none, none},
    {"set_npn_select_cb", none, none},
    {"compress_certs", none, none},
    {"set1_compressed_cert", none, none},
    // Sessions, tickets, early data: reprise's own, or the peer's choice.
    {"set_session_id_context", none, none},
    {"set_session_cache_mode", none, none},
    {"set_timeout", none, none},
    {"sess_set_cache_size", none, none},
    {"sess_set_new_cb", none, none},
    {"sess_set_get_cb", none, none},
    {"sess_set_remove_cb", none, none},
    {"set_num_tickets", none, none},
    {"set_session_ticket_cb", none, none},
    {"set_tlsext_ticket_key_cb", none, none},
    {"set_tlsext_ticket_key_evp_cb", none, none},
    {"set_tlsext_ticket_keys", none, none},
    {"set_max_early_data", none, none},
    {"set_recv_max_early_data", none, none},
    {"set_allow_early_data_cb", none, none},
    {"set_client_hello_cb", none, none},
    {"set_generate_session_id", none, none},
    {"set_not_resumable_session_callback", none, none},
    {"add_session", none, none},
    {"remove_session", none, none},
    // Records, buffers, observers.
    {"set_mode", none, none},
    {"clear_mode", none, none},
    {"set_read_ahead", none, none},
    {"set_default_read_ahead", none, none},
    {"set_default_read_buffer_len", none, none},
    {"set_max_cert_list", none, none},
    {"set_max_pipelines", none, none},
    {"set_max_send_fragment", none, none},
    {"set_split_send_fragment", none, none},
    {"set_block_padding", none, none},
    {"set_block_padding_ex", none, none},
    {"set_record_padding_callback", none, none},
    {"set_record_padding_callback_arg", none, none},
    {"set_quiet_shutdown", none, none},
    {"set_info_callback", none, none},
    {"set_msg_callback", none, none},
    {"set_msg_callback_arg", none, none},
    {"set_keylog_callback", none, none},
    {"set_async_callback", none, none},
    {"set_async_callback_arg", none, none},
    {"set_default_passwd_cb", none, none},
    {"set_default_passwd_cb_userdata", none, none},
    {"set_cookie_generate_cb", none, none},
    {"set_cookie_verify_cb", none, none},
    {"set_stateless_cookie_generate_cb", none, none},
    {"set_stateless_cookie_verify_cb", none, none},
    {"set_app_data", none, none},
    {"set_ex_data", none, none},
    {"set_domain_flags", none, none},
    {"set_new_pending_conn_cb", none, none},
    // Set other settings of this table, or nothing.
    {"set_ecdh_auto", none, none},
    {"set_tlsext_use_srtp", none, none}, // DTLS only
    {"set0_chain_cert_store", none, none},
    {"set1_chain_cert_store", none, none},
    {"set_cert_flags", none, none},
    {"clear_cert_flags", none, none},
    {"config", none, none},
    {"ctrl", none, none},
    {"callback_ctrl", none, none},
    {"set_current_cert", none, none},
    {"select_current_cert", none, none},
};

// Questions whose names do not begin with "get" or "sess_get".
constexpr std::array<std::string_view, 31> questions{
    "check_private_key", "ct_is_enabled", "flush_sessions", "flush_sessions_ex", "free", "has_client_custom_ext",
    "need_tmp_RSA", "new", "new_ex", "sess_accept", "sess_accept_good", "sess_accept_renegotiate", "sess_cache_full",
    "sess_cb_hits", "sess_connect", "sess_connect_good", "sess_connect_renegotiate", "sess_hits", "sess_misses",
    "sess_number", "sess_timeouts", "sessions", "up_ref",
    // types
    "alpn_select_cb_func", "decrypt_session_ticket_fn", "generate_session_ticket_fn", "keylog_cb_func",
    "npn_advertised_cb_func", "npn_select_cb_func", "client_hello_cb_fn", "new_pending_conn_cb_fn"};

} // namespace

std::span<setting const> settings() noexcept
{
    return table;
}

bool is_question(std::string_view name) noexcept
{
    return name.starts_with("get") || name.starts_with("sess_get") ||
           std::ranges::find(questions, name) != questions.end();
}

} // namespace reprise::detail

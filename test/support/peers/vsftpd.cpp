// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/peers/vsftpd.hpp"

#include <filesystem>

#include <unistd.h>

namespace test {

namespace {

std::vector<std::string> command(credentials const& c, temporary_directory const& root,
                                 temporary_directory const& empty, unsigned short port)
{
    namespace fs = std::filesystem;
    // It refuses a root that its users could write to, and they have to be able to look into it.
    for (auto const* directory : {&root, &empty})
        fs::permissions(*directory / "", fs::perms{0555});
    // One who may change users does; one who may not goes on as who he is.
    bool const is_root = ::geteuid() == 0;
    auto const configuration = c.directory.write(
        "vsftpd.conf",
        "listen=YES\nlisten_address=127.0.0.1\nlisten_port=" + std::to_string(port) +
            "\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nno_anon_password=YES\nanon_root=" + (root / "") +
            "\nsecure_chroot_dir=" + (empty / "") +
            (is_root ? "\nftp_username=daemon\nnopriv_user=nobody" : "\nrun_as_launching_user=YES") +
            "\npasv_address=127.0.0.1\nseccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\nssl_enable=YES"
            "\nallow_anon_ssl=YES\nforce_anon_logins_ssl=YES\nforce_anon_data_ssl=YES\nssl_tlsv1=YES"
            "\nssl_ciphers=HIGH\nrequire_ssl_reuse=YES\nstrict_ssl_read_eof=NO\nrsa_cert_file=" +
            c.certificate + "\nrsa_private_key_file=" + c.key + "\nxferlog_enable=NO\n");
    return {"/usr/sbin/vsftpd", configuration};
}

} // namespace

vsftpd::vsftpd(credentials const& c) : port(free_port()), process(command(c, root, empty, port))
{
    wait_for_listener(port);
}

void vsftpd::put(std::string const& name, std::string_view content) const
{
    namespace fs = std::filesystem;
    fs::permissions(root / "", fs::perms::owner_write, fs::perm_options::add);
    root.write(name, content);
    fs::permissions(root / "", fs::perms::owner_write, fs::perm_options::remove);
}

} // namespace test

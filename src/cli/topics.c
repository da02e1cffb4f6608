/* topics: see topics.h; tables only. */
#include "cli/topics.h"

const struct cli_topic cli_topics[] = {
    { "server", "The server", "init lab serve reload status metrics check upgrade role" },
    { "domains", "Domains", "domain" },
    { "users", "Users, aliases and groups", "user alias group" },
    { "guard", "Who is there, and who is kept out", "session lockout" },
    { "certificates", "Certificates", "ca cert" },
    { "backups", "Backups", "backup restore" },
    { "mail", "Mail from and to other systems", "import export" },
    { "pages", "Pages and completion", "man completion help" },
    { NULL, NULL, NULL },
};

const struct cli_example cli_examples[] = {
    { "server", "A mail system for this machine only, with three accounts, and its server:",
      "valise init --lab --domain mondomaine.fr --hostname mailhost.mondomaine.fr --dir lab" },
    { "server", NULL, "valise serve --dir lab --port-offset 10000" },
    { "server", "For a class of 20 in this network, who see their passwords pass without TLS; then their sheets:",
      "valise init --lab --network 192.168.1.0/24 --students 20 --insecure-lesson --domain mondomaine.fr --hostname "
      "mailhost.mondomaine.fr --dir class" },
    { "server", NULL, "valise lab sheet --dir class --port-offset 10000" },
    { "server",
      "A real one, as root, started by systemd:", "valise init --domain mondomaine.fr --hostname mailhost.mondomaine.fr" },
    { "server", NULL, "systemctl enable --now valise" },
    { "server",
      "After a change of valise.conf: is it right, and then into force with it:", "valise check --config && valise reload" },
    { "domains", "One more domain, and another name of it:", "valise domain add exemple.fr" },
    { "domains", NULL, "valise domain alias add exemple.com exemple.fr" },
    { "domains", "Each of its users may keep 5 GiB:", "valise domain quota exemple.fr --storage 5G" },
    { "users", "A user, with a password that is made and printed:", "valise user add marie@mondomaine.fr --generate" },
    { "users",
      "A program that sends mail, and the password that it uses:", "valise user add backup@mondomaine.fr --role program" },
    { "users", NULL, "valise user app-password add backup@mondomaine.fr nightly" },
    { "users", "A list to which only its members write:", "valise group add team@mondomaine.fr --from members" },
    { "users", NULL, "valise group member add team@mondomaine.fr marie@mondomaine.fr" },
    { "guard",
      "What failed for a user lately, and let her in again:", "valise user history marie@mondomaine.fr --failed --since 2d" },
    { "guard", NULL, "valise lockout lift marie@mondomaine.fr" },
    { "certificates", "A user's certificate, to log in and to sign mail:",
      "valise cert issue --user marie@mondomaine.fr --p12 marie.p12 --generate" },
    { "certificates", "What is issued, and take one back:", "valise cert list" },
    { "certificates", NULL, "valise cert revoke SERIAL" },
    { "backups", "A backup of which two weeks are kept, that only the owner of a certificate reads:",
      "valise backup /srv/backups --keep 14 --encrypt-to office.pem" },
    { "backups", "Is the latest one whole? And bring one user's mail back:", "valise backup check /srv/backups" },
    { "backups", NULL, "valise restore /srv/backups --account marie@mondomaine.fr" },
    { "mail",
      "A user's mail from Dovecot, and as files again:", "valise import maildir marie@mondomaine.fr /home/marie/Maildir" },
    { "mail", NULL, "valise export maildir marie@mondomaine.fr marie-mail" },
    { "pages", "Completion in the bash that runs:", "eval \"$(valise completion bash)\"" },
    { NULL, NULL, NULL },
};

const struct cli_file cli_files[] = {
    { "/var/lib/valise", "The directory when neither --dir nor VALISE_DIR names one. All that follow are in it." },
    { "valise.conf", "The settings, see valise.conf(5)." },
    { "ca.pem", "The root certificate of the system's own CA: what programs that connect are given to trust." },
    { "keys/", "Private keys, and ca.names: for whom the CA may issue. Only root and the process keeper read them." },
    { "tls/", "Certificates of the server." },
    { "store/", "The mail, the users and what is known of them." },
    { "spool/", "Space for messages on their way in, and for a backup that is being made." },
    { "ca.revoked", "What the CA has revoked, for the day when an older backup comes back." },
    { "welcome.txt", "A welcome to new users in words of your own; welcome.en.txt and welcome.fr.txt for one language." },
    { "lab-accounts.txt", "The accounts of a lab and their passwords." },
    { "control.sock", "Where commands reach the server." },
    { NULL, NULL },
};

bool cli_topic_has(const struct cli_topic *t, const struct cli_command *c)
{
    str rest = str_from_z(t->commands), name = str_from_z(c->name), word;
    str first = str_sub(name, 0, str_find_byte(name, ' ', 0));
    while (rest.n && str_split(&rest, ' ', &word))
        if (str_eq(word, first))
            return true;
    return false;
}

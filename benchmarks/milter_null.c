/* The milter to measure against: asks for the login at MAIL, looks nothing up, and accepts.
 *
 * gcc -O2 -o milter_null milter_null.c -lmilter -lpthread; ./milter_null unix:/path
 */
#include <libmilter/mfapi.h>
#include <string.h>

static sfsistat negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
                          unsigned long *p0, unsigned long *p1, unsigned long *p2, unsigned long *p3)
{
    (void)ctx, (void)f0, (void)f2, (void)f3;
    *p0 = 0;
    *p1 = f1 & (SMFIP_NOHELO | SMFIP_NORCPT | SMFIP_NODATA | SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOBODY | SMFIP_NOUNKNOWN);
    *p2 = *p3 = 0;
    return SMFIS_CONTINUE;
}

static sfsistat connected(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
    (void)ctx, (void)name, (void)address;
    return SMFIS_CONTINUE;
}

static sfsistat mail(SMFICTX *ctx, char **arguments)
{
    (void)arguments;
    char *login = smfi_getsymval(ctx, "{auth_authen}");
    return login && !strcmp(login, "nobody at all") ? SMFIS_TEMPFAIL : SMFIS_ACCEPT;
}

int main(int count, char **values)
{
    struct smfiDesc milter = {.xxfi_name = "null", .xxfi_version = SMFI_VERSION, .xxfi_connect = connected,
                              .xxfi_envfrom = mail, .xxfi_negotiate = negotiate};
    if (count != 2 || smfi_setconn(values[1]) || smfi_register(milter) || smfi_setbacklog(512) || smfi_opensocket(1))
        return 1;
    return smfi_main();
}

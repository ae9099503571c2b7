/* Load for an SMTP submission port: sessions side by side, each logs in and sends one message after another.
 *
 *     smtp_load PORT SESSIONS MESSAGES AUTH-PLAIN-RESPONSE RATE   (MESSAGES in all; RATE a second in all, 0: no pause)
 *
 * Prints: seconds, messages accepted, p50 and p99 of the time from MAIL to its reply, and p50 and p99 of the time from
 * MAIL to the reply to the message, in milliseconds.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int port, sessions, per_session;
static const char *response;
static double begun, pause_;
static double *latencies, *wholes;
static int accepted, taken;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Send a command, wait for the last line of its reply; its first digit, '0' for a connection that broke. */
static char ask(int s, const char *command)
{
    char reply[4096];
    size_t used = 0, length = strlen(command);
    if (length && write(s, command, length) != (ssize_t)length)
        return '0';
    for (;;) {
        ssize_t got = read(s, reply + used, sizeof reply - used - 1);
        if (got <= 0)
            return '0';
        used += got;
        reply[used] = 0;
        if (reply[used - 1] != '\n')
            continue;
        char *last = reply + used - 1;
        while (last > reply && last[-1] != '\n')
            last--;
        if (strlen(last) > 3 && last[3] == ' ')
            return last[0];
    }
}

static void wait_until(double moment)
{
    double left = moment - now();
    if (left > 0)
        nanosleep(&(struct timespec){left, (left - (long)left) * 1e9}, NULL);
}

static void *session(void *number)
{
    double first = begun + (long)number * pause_ / sessions;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1, ok = 0;
    double *mine = malloc(per_session * sizeof *mine), *whole = malloc(per_session * sizeof *whole);
    char auth[512];
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    snprintf(auth, sizeof auth, "AUTH PLAIN %s\r\n", response);
    if (connect(s, (struct sockaddr *)&to, sizeof to) || ask(s, "") != '2' || ask(s, "EHLO load.example\r\n") != '2' ||
        ask(s, auth) != '2')
        fprintf(stderr, "no session\n"), exit(1);
    for (int i = 0; i < per_session; i++) {
        wait_until(first + i * pause_);
        double before = now();
        char mail = ask(s, "MAIL FROM:<a@example.org>\r\n");
        mine[i] = now() - before;
        if (mail == '2' && ask(s, "RCPT TO:<x@ok.example>\r\n") == '2' && ask(s, "DATA\r\n") == '3' &&
            ask(s, "Subject: load\r\n\r\ntext\r\n.\r\n") == '2')
            ok++;
        whole[i] = now() - before;
    }
    ask(s, "QUIT\r\n");
    close(s);
    pthread_mutex_lock(&lock);
    memcpy(latencies + taken, mine, per_session * sizeof *mine);
    memcpy(wholes + taken, whole, per_session * sizeof *whole);
    taken += per_session;
    accepted += ok;
    pthread_mutex_unlock(&lock);
    free(mine);
    free(whole);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

int main(int count, char **values)
{
    if (count != 6)
        return 2;
    sessions = atoi(values[2]);
    port = atoi(values[1]);
    per_session = atoi(values[3]) / sessions;
    response = values[4];
    signal(SIGPIPE, SIG_IGN); /* a session that breaks sends no more */
    pause_ = atof(values[5]) > 0 ? sessions / atof(values[5]) : 0;
    latencies = malloc(sessions * per_session * sizeof *latencies);
    wholes = malloc(sessions * per_session * sizeof *wholes);
    pthread_t *threads = malloc(sessions * sizeof *threads);
    begun = now();
    for (long i = 0; i < sessions; i++)
        pthread_create(&threads[i], NULL, session, (void *)i);
    for (int i = 0; i < sessions; i++)
        pthread_join(threads[i], NULL);
    double seconds = now() - begun;
    qsort(latencies, taken, sizeof *latencies, compare);
    qsort(wholes, taken, sizeof *wholes, compare);
    printf("%f %d %f %f %f %f\n", seconds, accepted, latencies[taken / 2] * 1e3, latencies[taken * 99 / 100] * 1e3,
           wholes[taken / 2] * 1e3, wholes[taken * 99 / 100] * 1e3);
    return 0;
}

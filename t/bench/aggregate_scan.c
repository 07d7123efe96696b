
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * The aggregate module's scanner by itself, beside json_loadb() of jansson,
 * which is what a module would call that had no scanner.
 *
 *     aggregate_scan KIND SECONDS
 *
 *         Bytes that are scanned in a second of CPU time, and bytes that
 *         jansson parses and frees, each for SECONDS; then the size of the
 *         texts.
 *
 *     aggregate_scan KIND
 *
 *         The first text.
 *
 * A text is what an API answers: a page of orders, of 16 KB or more.  KIND is
 * "compact", "pretty" (the same texts, indented), "utf8" (with names and
 * sentences in French, Russian, Japanese or Korean) or "numbers" (series of
 * measurements).  There are 64 texts, always the same ones, so that no branch
 * is predicted by heart.  The scanner gets them in pieces of 4096 bytes, as
 * nginx reads them; jansson gets them whole.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <jansson.h>

#include "ngx_http_gateway_json_scan.h"


#define TEXTS  64
#define SIZE   16384
#define ROOM   (4 * SIZE)
#define PIECE  4096

#define bench_count(list)  (sizeof(list) / sizeof(list[0]))


typedef struct {
    size_t       len;
    ngx_uint_t   depth;
    ngx_uint_t   empty;     /* nothing has been put into what is open */
    char         data[ROOM];
} bench_text_t;


static void bench_make(bench_text_t *t);
static void bench_order(bench_text_t *t);
static void bench_item(bench_text_t *t);
static void bench_series(bench_text_t *t);
static void bench_open(bench_text_t *t, const char *name, char bracket);
static void bench_close(bench_text_t *t, char bracket);
static void bench_put(bench_text_t *t, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void bench_next(bench_text_t *t, const char *name);
static void bench_indent(bench_text_t *t);
static void bench_add(bench_text_t *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void bench_sentence(bench_text_t *t, const char *name, ngx_uint_t n);
static const char *bench_word(void);
static uint32_t bench_random(uint32_t n);

static double bench_rate(ngx_int_t (*work)(bench_text_t *t), double seconds);
static ngx_int_t bench_scan(bench_text_t *t);
static ngx_int_t bench_jansson(bench_text_t *t);
static double bench_time(void);


static bench_text_t  texts[TEXTS];
static ngx_uint_t    pretty, utf8, numbers;
static const char  **words;

#define WORDS  20

static const char  *english[WORDS] = {
    "account", "and", "blue", "box", "by", "cable", "delivery", "for", "from",
    "garden", "in", "large", "metal", "new", "of", "order", "packet", "small",
    "steel", "the"
};

static const char  *others[][WORDS] = {

    { "compte", "et", "élégant", "boîte", "à", "câble", "livraison", "pour",
      "près", "jardin", "dans", "grand", "métal", "nouveau", "où", "commande",
      "même", "petite", "acier", "le" },

    { "счёт", "и", "синий", "коробка", "по", "кабель", "доставка", "для", "от",
      "сад", "в", "большой", "металл", "новый", "из", "заказ", "пакет",
      "маленький", "сталь", "стол" },

    { "口座、", "青い", "箱の", "ケーブル", "配送", "東京都", "庭", "大きい",
      "金属", "新しい", "注文", "小包", "小さい", "鋼", "椅子", "です。",
      "サイズ", "を", "に", "は" },

    { "계좌", "그리고", "파란", "상자", "케이블", "배송", "서울", "정원", "큰",
      "금속", "새로운", "주문", "소포", "작은", "강철", "의자", "크기", "👍",
      "에서", "부품" }
};

int
main(int argc, char **argv)
{
    size_t      size;
    ngx_uint_t  i;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: aggregate_scan KIND [SECONDS]\n");
        return 2;
    }

    pretty = (ngx_strcmp(argv[1], "pretty") == 0);
    utf8 = (ngx_strcmp(argv[1], "utf8") == 0);
    numbers = (ngx_strcmp(argv[1], "numbers") == 0);

    if (!pretty && !utf8 && !numbers && ngx_strcmp(argv[1], "compact") != 0) {
        fprintf(stderr, "no kind \"%s\"\n", argv[1]);
        return 2;
    }

    size = 0;

    for (i = 0; i < TEXTS; i++) {
        words = utf8 ? others[i % bench_count(others)] : english;

        bench_make(&texts[i]);
        size += texts[i].len;

        if (bench_scan(&texts[i]) != NGX_OK
            || bench_jansson(&texts[i]) != NGX_OK)
        {
            fprintf(stderr, "text %d is not valid\n", (int) i);
            return 1;
        }
    }

    if (argc == 2) {
        printf("%s", texts[0].data);
        return 0;
    }

    printf("%.0f\n", bench_rate(bench_scan, atof(argv[2])));
    printf("%.0f\n", bench_rate(bench_jansson, atof(argv[2])));
    printf("%zu\n", size / TEXTS);

    return 0;
}


static void
bench_make(bench_text_t *t)
{
    bench_open(t, NULL, '{');
    bench_put(t, "page", "%d", (int) bench_random(50));
    bench_put(t, "total", "%d", (int) bench_random(100000));

    bench_open(t, numbers ? "series" : "orders", '[');

    while (t->len < SIZE) {
        if (numbers) {
            bench_series(t);

        } else {
            bench_order(t);
        }
    }

    bench_close(t, ']');

    bench_put(t, "next", "\"/orders?page=%d&limit=20\"",
              (int) bench_random(50));
    bench_close(t, '}');

    if (pretty) {
        bench_add(t, "\n");
    }
}


static void
bench_order(bench_text_t *t)
{
    ngx_uint_t  i;

    static const char  *states[] = { "open", "paid", "shipped", "returned" };

    bench_open(t, NULL, '{');

    bench_put(t, "id", "%u", 10000000 + bench_random(90000000));
    bench_put(t, "uuid", "\"%08x-%04x-4%03x-a%03x-%06x%06x\"",
              bench_random(0x7fffffff), bench_random(0x10000),
              bench_random(0x1000), bench_random(0x1000),
              bench_random(0x1000000), bench_random(0x1000000));
    bench_put(t, "created_at", "\"2026-%02u-%02uT%02u:%02u:%02uZ\"",
              1 + bench_random(12), 1 + bench_random(28), bench_random(24),
              bench_random(60), bench_random(60));
    bench_put(t, "state", "\"%s\"", states[bench_random(4)]);
    bench_put(t, "gift", bench_random(2) ? "true" : "false");
    bench_put(t, "coupon", "null");

    bench_open(t, "customer", '{');
    bench_put(t, "id", "%u", bench_random(1000000));
    bench_sentence(t, "name", 2);
    bench_put(t, "email", "\"user%u@example.com\"", bench_random(1000000));
    bench_open(t, "address", '{');
    bench_sentence(t, "street", 2);
    bench_put(t, "zip", "\"%05u\"", bench_random(100000));
    bench_sentence(t, "city", 1);
    bench_put(t, "country", "\"DE\"");
    bench_close(t, '}');
    bench_close(t, '}');

    bench_open(t, "items", '[');

    for (i = 1 + bench_random(4); i; i--) {
        bench_item(t);
    }

    bench_close(t, ']');

    bench_sentence(t, "note", bench_random(4) ? 6 + bench_random(20) : 0);
    bench_put(t, "href", "\"https://api.example.com/v1/orders/%u\"",
              bench_random(100000000));

    bench_close(t, '}');
}


static void
bench_item(bench_text_t *t)
{
    ngx_uint_t  i;

    bench_open(t, NULL, '{');

    bench_put(t, "sku", "\"%s-%04u\"", english[bench_random(WORDS)],
              bench_random(10000));
    bench_sentence(t, "title", 3 + bench_random(4));
    bench_put(t, "quantity", "%u", 1 + bench_random(9));
    bench_put(t, "price", "%u.%02u", bench_random(500), bench_random(100));

    bench_open(t, "tags", '[');

    for (i = bench_random(4); i; i--) {
        bench_sentence(t, NULL, 1);
    }

    bench_close(t, ']');

    bench_close(t, '}');
}


static void
bench_series(bench_text_t *t)
{
    ngx_uint_t  i;

    bench_open(t, NULL, '{');
    bench_put(t, "sensor", "%u", bench_random(10000));
    bench_open(t, "values", '[');

    for (i = 24; i; i--) {
        bench_open(t, NULL, '[');
        bench_put(t, NULL, "%u", 1700000000 + bench_random(100000000));
        bench_put(t, NULL, "%s%u.%u", bench_random(4) ? "" : "-",
                  bench_random(1000), bench_random(100000));
        bench_put(t, NULL, "%u", bench_random(100));
        bench_put(t, NULL, "0.%06u", bench_random(1000000));
        bench_close(t, ']');
    }

    bench_close(t, ']');
    bench_close(t, '}');
}


static void
bench_open(bench_text_t *t, const char *name, char bracket)
{
    bench_next(t, name);
    bench_add(t, "%c", bracket);

    t->depth++;
    t->empty = 1;
}


static void
bench_close(bench_text_t *t, char bracket)
{
    t->depth--;

    if (!t->empty) {
        bench_indent(t);
    }

    bench_add(t, "%c", bracket);
    t->empty = 0;
}


static void
bench_put(bench_text_t *t, const char *name, const char *fmt, ...)
{
    char     value[256];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);

    bench_next(t, name);
    bench_add(t, "%s", value);
}


static void
bench_next(bench_text_t *t, const char *name)
{
    if (t->depth > 0) {
        bench_add(t, t->empty ? "" : ",");
        bench_indent(t);
    }

    if (name) {
        bench_add(t, pretty ? "\"%s\": " : "\"%s\":", name);
    }

    t->empty = 0;
}


static void
bench_indent(bench_text_t *t)
{
    if (pretty) {
        bench_add(t, "\n%*s", (int) (2 * t->depth), "");
    }
}


static void
bench_add(bench_text_t *t, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    t->len += vsnprintf(t->data + t->len, ROOM - t->len, fmt, args);
    va_end(args);
}


/* sometimes with an escape, as people's text has */

static void
bench_sentence(bench_text_t *t, const char *name, ngx_uint_t n)
{
    ngx_uint_t  i;

    bench_next(t, name);
    bench_add(t, "\"");

    for (i = 0; i < n; i++) {
        bench_add(t, i ? " %s" : "%s", bench_word());

        if (n > 6 && bench_random(40) == 0) {
            bench_add(t, "%s", bench_random(2) ? "\\n" : " \\\"x\\\"");
        }
    }

    bench_add(t, "\"");
}


static const char *
bench_word(void)
{
    return words[bench_random(WORDS)];
}


static uint32_t
bench_random(uint32_t n)
{
    static uint64_t  random = 1;

    random = random * 6364136223846793005 + 1442695040888963407;

    return (random >> 33) % n;
}


/* all texts once before it counts */

static double
bench_rate(ngx_int_t (*work)(bench_text_t *t), double seconds)
{
    double      start, time, bytes;
    ngx_uint_t  i, failed;

    bytes = 0;
    failed = 0;
    start = 0;

    do {
        for (i = 0; i < TEXTS; i++) {
            failed += (work(&texts[i]) != NGX_OK);
            bytes += texts[i].len;
        }

        time = bench_time();

        if (start == 0) {
            start = time;
            bytes = 0;
        }

    } while (time - start < seconds);

    if (failed) {
        fprintf(stderr, "%d texts were refused\n", (int) failed);
        exit(1);
    }

    return bytes / (time - start);
}


static ngx_int_t
bench_scan(bench_text_t *t)
{
    size_t                             pos, size;
    ngx_http_gateway_json_scan_t  s;

    ngx_http_gateway_json_scan_init(&s, 64);

    for (pos = 0; pos < t->len; pos += size) {
        size = ngx_min(t->len - pos, PIECE);

        if (ngx_http_gateway_json_scan(&s, (u_char *) t->data + pos, size)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_gateway_json_scan_end(&s);
}


static ngx_int_t
bench_jansson(bench_text_t *t)
{
    json_t  *json;

    json = json_loadb(t->data, t->len, JSON_DECODE_ANY, NULL);

    if (json == NULL) {
        return NGX_ERROR;
    }

    json_decref(json);

    return NGX_OK;
}


static double
bench_time(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}

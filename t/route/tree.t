#!/usr/bin/perl

# Tables of routes by themselves, without nginx: what a template is, which line
# takes a request, which methods are allowed, and what is said about lines that
# are wrong.  tree/routes.c asks the router and compares each answer with that
# of a naive matcher; each table is compiled once more with each allocation
# failing.
#
# Controls: routers that were made wrong on purpose have to be found wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Cwd qw( realpath );
use Test::More;

use NgxGatewayProgram qw( nginx run mutated slurp spew $work );

my $root = realpath("$FindBin::Bin/../..");
my $here = "$root/t/route/tree";
my $modules = "$root/modules";
my $nginx = nginx();
my ($core) = grep { -e "$_/configure" } glob "$root/build/src/nginx-*";

plan skip_all => 'no nginx is configured in build/ ("make")' if !$nginx;
plan skip_all => 'no source of nginx in build/src ("make deps")' if !$core;

my @flags = (qw( -W -Wall -Wno-unused-parameter -D_GNU_SOURCE ),
    '-DNGX_DEBUG_PALLOC=1', "-I$here", "-I$modules/route", "-I$nginx/objs",
    map { "-I$core/src/$_" } qw( core event event/modules os/unix ));
my @sanitize = ('-g', '-fsanitize=address,undefined',
                '-fno-sanitize-recover=undefined');
my $route = "$modules/route/ngx_http_gateway_route";

my @drivers = ((map { "$core/src/core/ngx_$_.c" }
    qw( array list murmurhash palloc rbtree regex string )),
    map { "$here/$_.c" } qw( core lines naive routes ));
my @router = map { "${route}_$_.c" }
    qw( build hosts order query regex table template tree );

my $program = built('routes', @sanitize, @drivers, @router);

diag 'no sanitizers: nobody looks for bytes read outside of a path'
    if !$program;

$program //= built('routes', @drivers, @router);

plan skip_all => 'the program is not compiled' if !$program;

# [what, lines, what has to come of them]

my @tables = (templates(), refused(), precedence(), rests(), captures(),
              methods(), conditions(), hosts(), regexes(), messages(),
              queries());

is $_->[1], $_->[2], $_->[0] for asked($program, @tables);

at_random();
controls();

done_testing();


sub templates {
    my @literals = ('/', '/users', '/users/', '/v1/items:batch', '/a*b',
        '/...', '/.a', '/a.', '/a;b=1', "/caf\xc3\xa9", '/a%', '/a%2g',
        '/(x)', '/a' x 64);

    return ['literals',
        (join '', map { "+ GET $_ v\n? GET - $_\n" } @literals)
            . "? GET - /v1/itemsxbatch\n? GET - /Users\n",
        "v\n" x @literals . "-\n-\n"],

        ['what begins with ":" or "*"', <<'END', <<'END'],
+ GET /:x(:literal) a
+ GET /:x([*][*]) b
? GET - /:literal
? GET - /**
? GET - /literal
END
a [:literal]
b [**]
-
END

        ['"%" in a literal', <<'END', <<'END'];
+ GET /a%2Fb a
+ GET /%zz/%e9 b
+ GET /:x(%41) c
? GET - /a%2Fb
? GET - /%41
END
escaped: /a%2Fb
escaped: /%zz/%e9
a
c [%41]
END
}


sub refused {
    my $begin = 'it must begin with "/"';
    my $empty = 'only its last segment may be empty';
    my $dots = '"." and ".." are resolved before paths are compared';
    my $path = '"?" and "#" are not part of a path';
    my $name = 'a name of letters, digits and "_" must follow ":"';
    my $star = '"*" or a name of letters, digits and "_" must follow "*"';
    my $after = 'only "(regex)" or the segment\'s end may follow ":name"';
    my $end = 'only the segment\'s end may follow ":name(regex)"';
    my $last = 'nothing may follow "**" or "*name"';
    my $paren = '"(" must have its ")"';
    my $twice = 'a name must not be used twice';
    my $escaped = 'a name must not begin with "escaped_"';

    my @refused = (
        ['users' => $begin], [':x' => $begin],
        ['//' => $empty], ['/a//b' => $empty], ['//a' => $empty],
        ['/.' => $dots], ['/..' => $dots], ['/a/./b' => $dots],
        ['/a/../b' => $dots],
        ['/a?b' => $path], ['/a#b' => $path],
        ['/:' => $name], ['/:/a' => $name], ['/:-' => $name],
        ['/:(x)' => $name],
        ['/:a-b' => $after], ['/:a:b' => $after], ['/:a*' => $after],
        ['/:a(x)y' => $end], ['/:a(x)(y)' => $end], ['/:a(x))' => $end],
        ['/:a()' => 'the regex must not be empty'],
        ['/:a(' => $paren], ['/:a(x' => $paren], ['/:a((x)' => $paren],
        ['/:a([)]' => $paren], ['/:a([])' => $paren], ['/:a(\\)' => $paren],
        ['/:a(x\\' => $paren], ['/:a([x\\' => $paren],
        ['/:a([[' => $paren],
        ['/*' => $star], ['/*/a' => $star], ['/*-' => $star],
        ['/***' => $last], ['/**a' => $last], ['/**/a' => $last],
        ['/*a/b' => $last], ['/*a/' => $last], ['/**/' => $last],
        ['/:a/:a' => $twice], ['/:a/:b/*a' => $twice],
        ['/:id/:ID' => $twice],
        ['/:escaped_a' => $escaped], ['/*Escaped_a' => $escaped],
        ['/a' x 65 => 'it may have no more than 64 segments'],
    );

    return map {
        my ($template, $why) = @$_;

        ["refused: $template", "+ GET $template v\n? GET - $template\n",
         "refused: $why\n-\n"]
    } @refused;
}


sub precedence {
    my @lines = map { "+ GET $_\n" } '/** rest', '/:x param', '/me literal',
        '/:x([a-z]+) letters', '/:x([a-m]+) first', '/:x/b param-b',
        '/:x([a-z]+)/c letters-c', '/me/d literal-d', '/:x([a-m]+)/:y first-y';

    my $requests = join '', map { "? GET - /$_\n" } 'me', 'abc', 'xyz', 'X',
        'me/d', 'me/c', 'me/b', 'abc/c', 'abc/b', 'X/b', 'X/c', 'xyz/d', '',
        'me/', 'abc/';

    my $expected = join "\n", 'literal', 'letters [abc]', 'letters [xyz]',
        'param [X]', 'literal-d', 'letters-c [me]', 'first-y [me] [b]',
        'letters-c [abc]', 'first-y [abc] [b]', 'param-b [X]', 'rest', 'rest',
        'rest', 'rest', "rest\n";

    return (
        ['segment by segment, a regex as it was written first',
         join('', @lines) . $requests, $expected],

        ['regexes elsewhere make no difference', <<'END', <<'END'],
+ POST /z/:x([a-z0-9]+) one
+ GET /:x/:y([a-z0-9]+) two
+ GET /u/:x([0-9]+) three host=a
+ GET /u/:x([a-z0-9]+)/:y([a-z0-9]+) four
+ GET /u/:y([a-z0-9]+) five
+ GET /u/:y([a-z0-9]+)/:x([0-9]+) six
+ GET /u/:no([0-9]+)/:x([a-z]+) seven
? GET - /u/12
? GET a /u/12
? GET - /u/12/13
? GET a /u/12/x
? GET - /u/x/y
END
five [12]
three [12]
four [12] [13]
seven [12] [x]
four [x] [y]
END

        ['prefixes', <<'END', <<'END'],
+ GET /user a
+ GET /users b
+ GET /users/ c
+ GET /us d
+ GET /u:x e
+ GET /users/all f
+ GET /users/al g
+ GET /users/:x h
? GET - /user
? GET - /users
? GET - /users/
? GET - /us
? GET - /u:x
? GET - /users/all
? GET - /users/al
? GET - /users/a
? GET - /users/alls
? GET - /use
? GET - /userss
? GET - /
? GET - users
? GET - *
END
a
b
c
d
e
f
g
h [a]
h [alls]
-
-
-
-
-
END

        ['back from where nothing is', <<'END', <<'END'],
+ GET /a/b/c/d one
+ GET /a/:x/c/e two
+ GET /:y/b/c/f three
+ GET /:y/:x/c/:z four
+ POST /a/b/*r five
+ GET /:y/:x/c/:z/*more six
? GET - /a/b/c/d
? GET - /a/b/c/e
? GET - /a/b/c/f
? GET - /a/b/c/g
? GET - /a/b/c/
? POST - /a/b/c/g/h
? PUT - /a/b/c/e
? GET - /q/b/c/d/e/f
END
one
two [b]
three [a]
four [a] [b] [g]
- POST
five [c/g/h]
- GET, HEAD, POST
six [q] [b] [d] [e/f]
END

        ['the next best one', <<'END', <<'END'],
+ * /** all
+ GET /users/:id user
+ POST /users/:id(x) x
+ GET /users/*rest c1 c1
? GET - /users/1
? POST - /users/1
? POST - /users/x
? GET - /users/x
? GET - /users/
? GET - /users/ c1
END
user [1]
all
x [x]
user [x]
all
c1 []
END
    );
}


sub rests {
    return ['all that follows', <<'END', <<'END'];
+ GET /orders/** a
+ GET /files/*path b
? GET - /orders
? GET - /orders/
? GET - /orders/1
? GET - /orders/1/2/
? GET - /orders//
? GET - /orders//x
? GET - /files
? GET - /files/
? GET - /files/a/b
? GET - /ordersx/1
END
-
a
a
a
a
a
-
b []
b [a/b]
-
END
}


sub captures {
    my $path = join '/', map { "s$_" } 1 .. 63;
    my $template = join '/', map { ":s$_" } 1 .. 63;

    return (
        ['captures in order', <<'END', <<'END'],
+ GET /:a/x/:b([0-9]+)/:c y
+ GET /:a/x/:b/*rest z
? GET - /1/x/2/3
? GET - /1/x/b/c/d
? GET - /1/x/b/
? GET - //x/b/
END
y [1] [2] [3]
z [1] [b] [c/d]
z [1] [b] []
-
END

        ['as many as there may be', "+ GET /$template/*rest v\n"
         . "? GET - /$path/x/y\n? GET - /$path\n",
         'v' . (join '', map { " [s$_]" } 1 .. 63) . " [x/y]\n-\n"],
    );
}


sub methods {
    my $many = join '', map { sprintf "+ M%02d /m v%d\n", $_, $_ } 1 .. 64;
    my $allowed = join ', ', map { sprintf 'M%02d', $_ } 1 .. 64;

    return (
        ['HEAD follows GET', <<'END', <<'END'],
+ GET /a get
+ GET /b get
+ HEAD /b head
+ GET /c get
+ HEAD /c head c1
+ GET,POST /d get c1
+ HEAD,PUT /d head c1
+ * /e all
+ GET /f get c1
+ * /f all
? HEAD - /a
? HEAD - /b
? HEAD - /c
? HEAD - /c c1
? HEAD - /d c1
? HEAD - /e
? HEAD - /f
? HEAD - /f c1
? head - /a
END
get
head
get
head
head
all
all
get
- GET, HEAD
END

        ['what is allowed', <<'END', <<'END'],
+ PURGE,OPTIONS /a v
+ DELETE,PATCH /a v
+ PUT,GET /a v
+ POST /a v c1
+ ABC /a v
+ TRACE /:x v
+ HEAD /b v
? X - /a
? X - /a c1
? X - /b
? X - /c
? X - /c/d
? TRACE - /a
? POST - /a
END
- GET, HEAD, PUT, PATCH, DELETE, OPTIONS, PURGE, ABC, TRACE
- GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PURGE, ABC, TRACE
- HEAD, TRACE
- TRACE
-
v [a]
- GET, HEAD, PUT, PATCH, DELETE, OPTIONS, PURGE, ABC, TRACE
END

        ['64 methods', "$many? M64 - /m\n? M65 - /m\n? GET - /m\n",
         "v64\n- $allowed\n- $allowed\n"],

        ['65 methods', "$many+ X /m v\n? M1 - /m\n",
         'emerg: too many methods with route "X /m" in routes:65, routes of '
         . "one block may have 64, and HEAD is one where GET is\n"],

        ['64 methods and HEAD', $many =~ s/M64/GET/r,
         'emerg: too many methods with route "GET /m" in routes:64, routes of '
         . "one block may have 64, and HEAD is one where GET is\n"],
    );
}


sub conditions {
    return (
        ['conditions', <<'END', <<'END'],
+ GET /x none
+ GET /x both c1 c2
+ GET /x one c1
+ GET /x two c2
+ GET /:x param c3
? GET - /x
? GET - /x c1
? GET - /x c1 c2
? GET - /x c2
? GET - /x c3
? GET - /y
? POST - /y
? POST - /y c3
END
none
one
both
two
none
-
-
- GET, HEAD
END

        ['an error ends the lookup', <<'END', <<'END'],
+ GET /x a error
+ * /** b
+ POST /y c error
+ PUT /y c
? GET - /x
? POST - /x
? POST - /y
? DELETE - /y
+ GET /z d error
? POST - /z
END
error
b
error
b
b
END

        ['an error while others are asked for', <<'END', <<'END'],
+ GET /x a error
? POST - /x
END
error
END
    );
}


sub hosts {
    my $dots = join '.', ('a') x 2000;

    return (
        ['hosts', <<'END', <<'END'],
+ * /** any
+ * /** www host=www.example.com
+ * /** below host=*.example.com
+ * /** com host=*.COM
+ * /x x
+ * /:x a host=*.a.example.com
+ GET /y y host=www.example.com
? GET www.example.com /q
? GET WWW.Example.COM /q
? GET a.example.com /q/r
? GET b.a.example.com /q
? GET b.a.example.com /x
? GET example.com /q
? GET .example.com /q
? GET xexample.com /q
? GET com /q
? GET - /q
? GET example.org /q
? GET www.example.com /y
? POST www.example.com /y
? GET www.example.com. /q
END
www
www
below
a [q]
x
com
com
com
any
any
any
y
www
any
END

        ['allowed by host', <<'END', <<'END'],
+ GET /x a host=a.b
+ POST /x b host=*.b
+ PUT /x c
? DELETE a.b /x
? DELETE c.b /x
? DELETE b /x
END
- GET, HEAD, POST, PUT
- POST, PUT
- PUT
END

        ['an error in lines of a host', <<'END', <<'END'],
+ GET /x a error host=a.b
+ GET /x b
? GET a.b /x
? POST a.b /x
? GET b /x
END
error
error
b
END

        ['many labels', "+ GET /x v host=*.a.a\n? GET $dots /x\n"
         . "? GET $dots.b /x\n", "v\n-\n"],

        ['many hosts',
         (join '', map { "+ GET /x v$_ host=h$_.example.com\n" } 1 .. 100)
         . (join '', map { "? GET h$_.example.com /x\n" } 1 .. 101),
         (join '', map { "v$_\n" } 1 .. 100) . "-\n"],
    );
}


sub regexes {
    my $long = 'a' x 18;

    return (
        ['anchored', <<'END', <<'END'],
+ GET /a/:x(b|bc) v
+ GET /b/:x(b)/y v
+ GET /c/:x([^/]+) v
+ GET /d/:x((.)(.)) v
+ GET /e/:x((a)\1?) v
+ GET /f/:x(b(*ACCEPT)) v
+ GET /g/:x([[:digit:])(]+) v
+ GET /h/:x(b*) v
+ GET /i/:x([[:^digit:])(]+) v
+ GET /j/:x([[(]+) v
? GET - /a/b
? GET - /a/bc
? GET - /a/bcd
? GET - /a/ab
? GET - /a/b/
? GET - /b/b/y
? GET - /c/x
? GET - /d/xy
? GET - /d/x
? GET - /e/aa
? GET - /f/b
? GET - /f/bc
? GET - /g/1)(2
? GET - /h/
? GET - /i/)x(
? GET - /j/[(
END
v [b]
v [bc]
-
-
-
v [b]
v [x]
v [xy]
-
v [aa]
v [b]
-
v [1)(2]
-
v [)x(]
v [[(]
END

        ['one that takes too long',
         "+ GET /:x((a+)+[bc]) slow\n+ GET /:x any\n? GET - /${long}b\n"
         . "? GET - /$long\n? GET - /aab\n",
         "slow [${long}b]\nerror: pcre2_match() failed: -47 on \"$long\" using "
         . "the route regex \"(a+)+[bc]\"\nany [$long]\nslow [aab]\n"],

        ['one that is none', "+ GET /a v\n+ POST,PUT /:x(a{2,1}) v\n",
         'emerg: invalid regex in route "POST,PUT /:x(a{2,1})" in routes:2: '
         . 'pcre2_compile() failed: numbers out of order in {} quantifier in '
         . "\"a{2,1}\" at \"}\"\n"],

        ['one that hides its end', "+ GET /:x((?x)a#) v\n",
         'emerg: invalid regex in route "GET /:x((?x)a#)" in routes:1: '
         . 'pcre2_compile() failed: missing closing parenthesis in '
         . "\"(*LIMIT_MATCH=10000)\\A(?:(?x)a#)\\z\"\n"],

        ['many',
         (join '', map { "+ GET /:x([a-z]+$_) v$_\n" } 1 .. 100)
         . (join '', map { "? GET - /x$_\n" } 1 .. 101),
         (join '', map { "v$_ [x$_]\n" } 1 .. 100) . "-\n"],
    );
}


sub messages {
    my @twice = map { ["twice: $_->[0] and $_->[1]",
        "+ PUT /a v\n+ $_->[0]\n+ POST /b v\n+ $_->[1]\n",
        sprintf "emerg: duplicate route \"%s\" in routes:4, "
            . "the first one is in routes:2\n", $_->[1] =~ /^(\S+ \S+)/]
    } (
        ['GET /x a', 'GET /x b'], ['GET /:a a', 'GET /:b b'],
        ['GET,POST /x a', 'PUT,POST /x b'], ['* /x a', '* /x b'],
        ['GET /:x([a-z]) a', 'GET /:y([a-z]) b'],
        ['GET /a/** a', 'GET /a/*rest b'],
        ['GET /x a c1 c2', 'GET /x b c2 c1'],
        ['GET /x a host=a.b', 'GET /x b host=A.B'],
        ['HEAD /x a', 'GET,HEAD /x b'],
    );

    my @never = map { ["never: $_->[0] after $_->[1]",
        "+ $_->[1]\n+ PUT /y v\n+ $_->[0]\n",
        sprintf "warn: route \"%s\" in routes:3 never matches, \"%s\" in "
            . "routes:1 takes all of its requests\n",
            map { /^(\S+ \S+)/ } @$_[0, 1]]
    } (
        ['GET /x b', '* /x a'], ['GET /:x b', '* /:y a'],
        ['GET /x b c1 c2', 'GET /x a c1'], ['GET /x b c1 c2', '* /x a c2'],
        ['HEAD /x b c1 c2', 'GET,HEAD /x a c1'],
        ['* /x b c1 host=a.b', '* /x a host=a.b'],
        ['GET /x b host=a.b.c', 'GET /x a host=*.c'],
        ['GET /x b host=*.b.c', 'GET /x a host=*.c'],
        ['GET /x b c1 host=a.b', 'GET /x a c1'],
    );

    my @none = map { ["nothing is said: $_->[0] after $_->[1]",
                      "+ $_->[1]\n+ $_->[0]\n", ''] } (
        ['* /x b', 'GET /x a'], ['GET /x b', 'POST /x a'],
        ['GET /x b', 'GET /x a c1'], ['GET /x b c1', 'GET /x a'],
        ['GET /x b c1', 'GET /x a c2'], ['GET /x b c1', 'GET /x a c1 c2'],
        ['GET /x b host=a.c', 'GET /x a host=*.b'],
        ['GET /x b host=*.b', 'GET /x a host=a.b'],
        ['GET /x b host=b', 'GET /x a host=*.b'],
        ['GET /x b host=ab', 'GET /x a host=*.b'],
        ['GET /x b c1', 'GET /x a host=a.b'],
        ['GET /:x b', 'GET /:x([a-z]+) a'], ['GET /x b', 'GET /:x a'],
        ['GET /:x([a-z]) b', 'GET /:x([a-y]) a'], ['GET /x/ b', 'GET /x a'],
        ['GET /x/** b', 'GET /x/:y a'], ['GET /X b', 'GET /x a'],
        ['get /x b', 'GET /x a'], ['GET /x a C1', 'GET /x a c1'],
    );

    return (@twice, @never, @none,
        ['never: several', "+ GET /x a c1\n+ POST /x b c2\n"
         . "+ GET,POST /x c c1 c2\n",
         'warn: route "GET,POST /x" in routes:3 never matches, "POST /x" in '
         . "routes:2 and others take all of its requests\n"],

        ['twice: the first of several', <<'END', <<'END'],
+ GET /b v
+ GET /c v
+ GET /a v
+ GET /c v
+ GET /b v
+ GET /a v
END
emerg: duplicate route "GET /c" in routes:4, the first one is in routes:2
END
        ['no lines', "? GET - /\n", "-\n"]);
}


sub queries {
    my @has = ('a b a=b', 'a b x=y&a=b', 'a b a=c&a=b&a=d', 'a - a',
        'a - a=', 'a - x&a', 'a b %61=%62', 'a b &&a=b&', '- b =b',
        'a b=c a=b=c', 'a b%3dc a=b%253dc', 'a %zz a=%zz', 'a %4 a=%4',
        'a +b a=%2Bb', 'a%20b c a%2520b=c', "\xc3\xa9 b %C3%a9=b");
    my @lacks = ('a b -', 'a b a=c', 'a b ab=b', 'a b a=bc', 'a bc a=b',
        'a b A=b', 'a b a', 'a - x', 'a b a;a=b', '- - &&', 'a +b a=+b',
        'a b x=a=b');

    return ['arguments', (join '', map { "& $_\n" } @has, @lacks),
            "1\n" x @has . "0\n" x @lacks];
}


# Tables and requests of few different words, so that much is alike: the naive
# matcher tells what is wrong.

sub at_random {
    srand 7;

    my @segments = qw( a ab b :x :y :x([ab]) :x(a.*) :x([^a]+) );
    my @paths = ('a', 'ab', 'b', 'c', '', 'abc', 'a');
    my @methods = (qw( GET GET HEAD POST * * ), 'PUT,POST', 'PATCH,GET');
    my @more = (('') x 4, ' c1', ' c2', ' c1 c2', ' host=a.b',
        ' host=*.b', ' host=b');

    my @tables = map {
        my %seen;
        my $lines = '';

        for (1 .. 30) {
            my $n = 0;
            my $template = join '', map { '/' . one(@segments) =~ s/x|y/$&
                . $n++/er } 1 .. 1 + rand 3;

            $template .= one('', '', '/', '/**', '/*rest');

            my $line = one(@methods) . ' %s v' . $_ . one(@more);
            my $key = $template =~ s/\*\w+\z/**/r =~ s/:x(\d)/:y$1/gr
                . ' ' . $line =~ s/.*? v\d+//r;

            # other methods are as good as the same ones

            next if $seen{$key}++;

            $lines .= sprintf "+ $line\n", $template;
        }

        $lines .= sprintf "? %s %s /%s%s\n",
            one(qw( GET GET HEAD POST PUT DELETE )), one(qw( - a.b b c.b )),
            (join '/', map { one(@paths) } 1 .. 1 + rand 4),
            one('', ' c1', ' c2', ' c1 c2')
            for 1 .. 100;

        ["random $_", $lines, '']
    } 1 .. 40;

    my @answers = asked($program, @tables);
    my @all = map { grep { !/^warn: / } split /\n/, $_->[1] } @answers;
    my @wrong = grep { / WRONG: |^emerg/ } @all;
    my @found = grep { /^v/ } @all;

    is scalar @all, 4000, 'random tables are asked';
    cmp_ok scalar @found, '>', 1500, '... and have much';
    is_deeply \@wrong, [], '... as the naive matcher has it';

    return;
}


sub one {
    return $_[rand @_];
}


sub controls {
    my @mutations = do "$here/mutations.pl" or die "$here/mutations.pl: $@";

    # what all files include is read once

    spew("$work/all.h", "#include <ngx_config.h>\n#include <ngx_core.h>\n");
    built('all.h.gch', qw( -O0 -w -c ), "$work/all.h");

    my @mutant = (qw( -O0 -w -include ), "$work/all.h");
    my %object = map { ($_ => built(($_ =~ m{(\w+)\.c\z})[0] . '.o', @mutant,
                                    '-c', $_)) } @drivers, @router;

    for my $mutation (@mutations) {
        my ($what, $file, @changes) = @$mutation;
        my $source = "${route}_$file.c";

        mutated(slurp($source), sub {
            my ($changed) = @_;
            my $wrong = built('mutant', @mutant,
                (map { $object{$_} } grep { $_ ne $source } @drivers, @router),
                $changed);

            return $wrong && scalar grep { $_->[1] ne $_->[2] }
                                         asked($wrong, @tables);
        }, [$what, @changes]);
    }

    return;
}


# Returns [what, what came of it, what has to], for each table.

sub asked {
    my ($asked, @wanted) = @_;
    my $memory = $asked eq $program ? 'memory' : 'once';

    spew("$work/input", join '', map { "$_->[1]=\n" } @wanted);

    my ($status, $output) = run('/bin/sh', '-c',
        'ulimit -t 20; exec "$0" "$1" < "$2" 2>&1', $asked, $memory,
        "$work/input");
    my @answers = split /^=\n/m, $output, -1;
    my $rest = pop @answers;

    # what is left is a sanitizer's report

    push @answers, "status $status: $rest" if $status || $rest ne '';

    return map { [$wanted[$_][0], $answers[$_] // 'nothing', $wanted[$_][2]] }
           0 .. $#wanted;
}


# The program or object made of these, or nothing

sub built {
    my ($name, @arguments) = @_;
    my @libraries = (grep { $_ eq '-c' } @arguments) ? () : '-lpcre2-8';
    my ($status, $output) = run($ENV{CC} || 'gcc', @flags, '-o',
                                "$work/$name", @arguments, @libraries);

    diag $output if $status != 0 && $output !~ /sanitize|asan|ubsan/;

    return $status == 0 ? "$work/$name" : undef;
}

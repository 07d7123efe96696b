#!/usr/bin/perl

# What docs/jwt.md's examples do, beyond passing nginx -t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use NgxGatewayDocs;
use NgxGatewayJWT;
use Test::More;

need_nginx();

my $dir = work_dir();
my ($port, $service) = free_ports(2);
my %examples = map { $_->{heading} => $_ } examples('docs/jwt.md');

mkdir "$dir/html";
spew("$dir/html/forbidden.html", 'a page of our own');
spew("$dir/htpasswd", "admin:{PLAIN}secret\n");

my $token = jwt();


recipe('Example', sub {
    is(status('/orders/'), 401, 'no token');
    is(body('/orders/', bearer($token)), 'user=alice', 'a token');
    is(status('/orders/admin/', bearer($token)), 403, 'no scope');
    is(status('/orders/admin/', bearer(jwt({ scope => 'x orders:admin' }))),
       200, 'the scope');
});

recipe('gateway_jwt_require_claim', sub {
    my %claims = (tenant => 'acme', email => 'alice@example.com',
                  realm_access => { roles => ['user', 'auditor'] });

    is(status('/?tenant=acme', bearer(jwt(\%claims))), 200, 'all hold');
    is(status('/?tenant=other', bearer(jwt(\%claims))), 403, 'another tenant');
    is(status('/?tenant=acme',
              bearer(jwt({ %claims, email => 'alice@example.com.net' }))),
       403, 'another address');
    is(status('/?tenant=acme',
              bearer(jwt({ %claims, realm_access => { roles => ['user'] } }))),
       403, 'another role');
});

recipe('A token in a cookie', sub {
    is(status('/', cookie => "session=$token"), 200, 'a cookie');
    is(status('/', bearer($token)), 401, 'a header');
});

recipe('A header or a cookie', sub {
    is(status('/api/', cookie => "session=$token"), 200, 'a cookie');
    is(status('/api/', bearer($token)), 200, 'a header');
    is(status('/api/', authorization => "bearer  $token"), 200,
       'a header in lower case');
    is(status('/api/'), 401, 'neither');
});

recipe('A token in the query string, and why not', sub {
    is(status("/?access_token=$token"), 200, 'an argument');
    is(status('/?access_token='), 401, 'an empty argument');
});

recipe('Several issuers', sub {
    my %partner = (iss => 'https://login.example.net',
                   aud => 'https://api.example.com');
    my %type = (key => 'p256', header => { typ => 'at+JWT' });

    is(body('/orders/', bearer($token)), 'user=alice issuer=staff', 'staff');
    is(body('/orders/', bearer(jwt(\%partner, %type))),
       'user=alice issuer=partners', 'partners');
    is(status('/orders/', bearer(jwt(\%partner, key => 'p256'))), 401,
       'the type is missing');
    is(status('/orders/', bearer(jwt({ %partner, exp => at(7200) }, %type))),
       401, 'too long-lived');
    is(status('/reports/', bearer($token)), 200, 'staff');
    is(status('/reports/', bearer(jwt(\%partner, %type))), 401, 'partners');
});

recipe('Public, except for changes', sub {
    is(status('/catalog/'), 200, 'GET');
    is(status('/catalog/', method => 'HEAD'), 200, 'HEAD');
    is(status('/catalog/', method => 'POST'), 401, 'POST');
    is(status('/catalog/', method => 'POST', bearer($token)), 403,
       'POST with a token');
    is(status('/catalog/', method => 'POST',
              bearer(jwt({ scope => 'catalog:write' }))), 200,
       'POST with the scope');
});

recipe('Admins', sub {
    my %claims = (scope => 'admin', acr => 'gold',
                  realm_access => { roles => ['operator'] });

    is(status('/admin/', bearer(jwt(\%claims))), 200, 'all hold');
    is(status('/admin/', bearer(jwt({ %claims, acr => 'bronze' }))), 403,
       'one does not');
});

recipe('A token, or an address, or a password', sub {
    is(status('/metrics/'), 401, 'nothing');
    is(status('/metrics/', bearer($token)), 200, 'a token');
    is(status('/metrics/', authorization => 'Basic YWRtaW46c2VjcmV0'), 200,
       'a password');
    is(status('/metrics/', authorization => 'Basic YWRtaW46d3Jvbmc='), 401,
       'a wrong password');
});

recipe('Answers of your own', sub {
    my $answer = get("http://127.0.0.1:$port/");

    is($answer->{status}, 302, 'no token: to the login');
    is($answer->{headers}{location}, 'https://id.example.com/login',
       'and where that is');

    $answer = get("http://127.0.0.1:$port/admin/",
                  cookie => "session=$token");

    is($answer->{status}, 403, 'no scope');
    is($answer->{content}, 'a page of our own', 'a page of our own');
    like($answer->{headers}{'www-authenticate'}, qr/insufficient_scope/,
         'WWW-Authenticate stays');
    is(status('/', cookie => "session=$token"), 200, 'a token');
});

recipe('What the services get', sub {
    my $roles = jwt({ realm_access => { roles => ['a', 'b'] } });

    is(body('/', bearer($roles), 'x-roles' => 'root'),
       'user=alice roles=["a","b"]', 'what was verified');
    is(body('/status', bearer($roles), 'x-user' => 'root'), '',
       'and nothing else');
});

is_deeply([ sort keys %examples ],
          [ 'Who did what, in the log', 'gateway_jwt_claim_set' ],
          'all examples were tried');

done_testing();


sub recipe {
    my ($heading, $test) = @_;

    my $example = delete $examples{$heading};

    subtest $heading => sub {
        ok($example, 'it is there') or return;

        spew("$dir/recipe.conf",
             startable(complete($example->{context}, $example->{text}, $port,
                                $service), service()));

        my $pid = nginx_start($dir, "$dir/recipe.conf", $port);

        ok($pid, 'it starts') or return;
        $test->();
        nginx_stop($pid);
    };
}


# Answers with those headers that it got.

sub service {
    my $maps = join '', map {
        "map \$http_" . lc($_->[1]) =~ tr/-/_/r . " \$told_$_->[0] {\n"
        . "    ''      '';\n"
        . "    default '$_->[0]=\$http_" . lc($_->[1]) =~ tr/-/_/r . " ';\n"
        . "}\n"
    } [ user => 'X-User' ], [ issuer => 'X-Issuer' ], [ roles => 'X-Roles' ];

    return "$maps
        server {
            listen 127.0.0.1:$service;
            return 200 \"\$told_user\$told_issuer\$told_roles\";
        }
    ";
}


sub status {
    my ($path, %headers) = @_;

    return get("http://127.0.0.1:$port$path", %headers)->{status};
}


sub body {
    my ($path, %headers) = @_;

    return get("http://127.0.0.1:$port$path", %headers)->{content} =~ s/ $//r;
}


sub bearer {
    return (authorization => "Bearer $_[0]");
}

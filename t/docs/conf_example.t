#!/usr/bin/perl

# The configurations in conf.example/ start as they are, on other ports.  What
# those for the three uses do is tested in t/e2e.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Basename qw( basename );
use File::Path qw( make_path );
use NgxGatewayDocs;
use NgxGatewayWebSocket;
use Test::More;

need_nginx();

# log.conf is a part of the others.

for my $file (grep { !m{/log\.conf$} } glob "$ROOT/conf.example/*.conf") {
    my $name = basename($file, '.conf');
    my $dir = work_dir() . "/$name";
    my $text = slurp($file);

    # The same places relative to each other as in the source tree.

    make_path("$dir/build", "$dir/conf.example/services");
    symlink "$ROOT/conf.example/keys", "$dir/conf.example/keys";
    symlink "$ROOT/conf.example/log.conf", "$dir/conf.example/log.conf";
    symlink "$ROOT/conf.example/$name", "$dir/conf.example/$name";
    symlink "$ROOT/build/modules.conf", "$dir/build/modules.conf";

    my $included = "services/$name.conf";
    my $services = -e "$ROOT/conf.example/$included"
                   ? slurp("$ROOT/conf.example/$included") : '';

    my %ports = map { $_ => 1 } "$text$services" =~ /\b127\.0\.0\.1:(\d+)/g;
    my @free = free_ports(scalar keys %ports);

    @ports{ sort keys %ports } = @free;
    s/\b127\.0\.0\.1:(\d+)/127.0.0.1:$ports{$1}/g for $text, $services;

    my $copy = "$dir/conf.example/$name.conf";

    spew($copy, $text);
    spew("$dir/conf.example/$included", $services);

    if ($text =~ m{\.\./build/tls/}) {
        like($text, qr/^# .*`?auto\/certificates/m,
             "$name.conf says where its certificates come from");
        is(system("$ROOT/auto/certificates", "$dir/build/tls"), 0,
           'and there they are made');
    }

    my $pid = nginx_start("$dir/build", $copy, $free[0]);

    ok($pid, "$name.conf starts") or next;

    my $command = 'nginx -p "$PWD/build/"'
                  . " -c \"\$PWD/conf.example/$name.conf\"";

    like(slurp($file), qr/\Q$command\E$/m, "$name.conf says how");

    if ($name eq 'gateway') {
        my $url = "http://127.0.0.1:$free[0]";

        is(get("$url/catalog/")->{status}, 200, 'what is public answers');
        is(get("$url/orders/")->{status}, 401, 'what is not asks for a token');
        is(get("$url/home")->{status}, 401, 'so does the page of three');
        is(get("$url/_offers/")->{status}, 404, 'its parts are nobody else\'s');
        is(get("$url/")->{status}, 404, 'what is not there is not there');

        is(post("$url/prices/", '{"item":7}')->{status}, 502,
           'a service that nobody stands in for');
        is(get("$url/chat/", upgrade => 'websocket', connection => 'upgrade')
               ->{status}, 401, 'a WebSocket asks for a token');

        is(get("$url/rooms", upgrade => 'websocket', connection => 'upgrade')
               ->{status}, 401, 'and so does one that is served');
        is(post("http://127.0.0.1:$ports{8086}/push/groups/lobby", 'hello')
               ->{content}, qq({"reached":0}\n), 'nobody is there to be told');

        is(get("$url/api/orders/7")->{status}, 401, 'so does the API');
        is(get("$url/api/orders/x")->{status}, 404, 'where there is a route');
        is(post("$url/api/catalog/", '{}')->{headers}{allow}, 'GET, HEAD',
           'for this method');

        # one more is let through for each second that this takes

        my @searches;

        do {
            push @searches, get("$url/catalog/search/")->{status};
        } until $searches[-1] != 200 || @searches == 20;

        like("@searches", qr/\A200 200 200 (?:200 )*429\z/,
             'nor is everything at once');

        # The address of the sender, the token's status, and no empty line.

        nginx_stop($pid);
        my @lines = split /\n/, slurp("$dir/build/gateway_access.log");

        is(scalar @lines, 12 + @searches,
           'one line is logged for each request');

        # Two workers may have written them in another order.

        my ($refused) = grep { m{"/orders/".*"status":401} } @lines;
        my ($limited) = grep { /"status":429/ } @lines;

        like($refused, qr/"uri":"\/orders\/".*"jwt":"missing"/,
             'the log has the status of the token');
        like($limited, qr/"limit":"rejected","zone":"search"/,
             'and that of the limit');
    }

    if ($name eq 'chat') {
        my $url = "http://127.0.0.1:$ports{8090}";

        like(get("$url/")->{content}, qr/new WebSocket/, 'a page');
        is(NgxGatewayWebSocket->new($ports{8090}, uri => '/chat?name=ann')
               ->status(), 502, 'without the service nobody gets in');
        is(get("$url/chat?name=ann")->{status}, 426, 'nor without WebSocket');
        is(get("$url/_chat/connect?name=ann")->{status}, 404,
           'the service is nobody else\'s');
        is(get("$url/push/groups/lobby")->{status}, 404,
           'clients do not push');
        is(get("http://127.0.0.1:$ports{8091}/push/groups/lobby")->{content},
           qq({"group":"lobby","connections":0}\n), 'the service can');
    }

    nginx_stop($pid);
}

done_testing();


sub post {
    my ($url, $content) = @_;

    return HTTP::Tiny->new(proxy => undef, http_proxy => undef)
        ->post($url, { content => $content });
}

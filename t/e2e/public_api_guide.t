#!/usr/bin/perl

# docs/guide-public-api.md from its first command to its last: all that is
# fenced as "console" is entered, and answers as it says there; what is to be
# put into /etc/nginx is a configuration.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2EExample;
use E2EGuide;
use File::Path ();
use Test::More;

E2E::need($_, $_) for 'curl', 'jq';

my $example = E2EExample->prepare('public-api');

File::Path::remove_tree($example->tls(''));

E2EGuide->new('docs/guide-public-api.md')->follow($example);
real_thing($example);

done_testing();


# The commands that make of it what Debian's nginx starts, in a folder that
# stands in for /etc/nginx.

sub real_thing {
    my ($example) = @_;

    my $dir = $example->dir;
    my $guide = E2E::slurp("$E2E::ROOT/docs/guide-public-api.md");
    my ($sed) = $guide =~ /^( +sed -e [^\n]*\\\n(?:.*\\\n)*.*\n)/m
        or die "the guide has no sed\n";

    File::Path::make_path("$dir/etc/modules-enabled", "$dir/var");
    E2E::spew("$dir/etc/modules-enabled/60-gateway.conf", E2E::modules());
    E2E::output('cp', '-r', "$dir/gateway/log.conf", "$dir/gateway/keys",
                $example->tls(''), "$dir/etc/");

    # The ports of the file are those of the guide there.

    E2E::spew("$dir/gateway/public-api.conf",
              E2E::slurp("$E2E::ROOT/conf.example/public-api.conf"));
    $sed =~ s{/etc/nginx/}{etc/};
    is(E2E::output('sh', '-c', "cd $dir && $sed"), '', 'sed');

    my $conf = E2E::slurp("$dir/etc/nginx.conf");

    unlike($conf =~ s/^ *#.*\n//mgr, qr{public-api|\.\./|services/|\btemp_},
           'nothing is left of the example');
    like($conf, qr{^user www-data;\npid /run/nginx\.pid;$}m,
         'as Debian has it');

    # but for what only root may do

    my @ports = map { E2E::free_port() } 1, 2;
    my $temp = join '', map { "    ${_}_temp_path $dir/var/$_;\n" }
                        qw( client_body proxy fastcgi uwsgi scgi );

    $conf =~ s/^user .*\n//m;
    $conf =~ s{/run/|/var/(?:log|cache)/nginx/}{$dir/var/}g;
    $conf =~ s/(listen +)443/$1$ports[0]/g;
    $conf =~ s/(listen +)80\b/$1$ports[1]/;
    $conf =~ s/^http \{\n/$&$temp/m;
    E2E::spew("$dir/etc/nginx.conf", $conf);

    like(E2E::output(E2E::binary(), '-t', '-c', "$dir/etc/nginx.conf",
                     '-e', "$dir/var/error.log"),
         qr/test is successful/, 'and nginx takes it');
}

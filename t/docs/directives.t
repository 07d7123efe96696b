#!/usr/bin/perl

# The pages of docs/ describe the directives that the modules have: all of
# them, in the order of the command tables, with their contexts, and with
# defaults that nginx takes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use NgxGatewayDocs;
use Test::More;

my %contexts = (
    NGX_HTTP_MAIN_CONF => 'http',
    NGX_HTTP_SRV_CONF  => 'server',
    NGX_HTTP_LOC_CONF  => 'location',
    NGX_HTTP_LIF_CONF  => 'if in location',
    NGX_HTTP_LMT_CONF  => 'limit_except',
);

my @defaults;

my %variables = map { $_ => 1 }
                map { slurp($_) =~ /ngx_string\("(gateway_\w+)"\)/g }
                glob "$ROOT/modules/*/*.c";

for my $folder (glob "$ROOT/modules/*/config") {
    my ($name) = $folder =~ m{/([^/]+)/config$};
    my $page = "$ROOT/docs/$name.md";

    ok(-e $page, "docs/$name.md is there") or next;

    my @commands = map { commands(slurp($_)) }
                   glob "$ROOT/modules/$name/*_module.c";
    my @described = described(slurp($page));

    cmp_ok(scalar @commands, '>', 0, "$name has directives");

    is_deeply([ map { $_->{name} } @described ],
              [ map { $_->{name} } @commands ],
              "docs/$name.md: the directives, in the module's order");

    my %known = map { $_->{name} => $_ } @commands;

    for my $directive (@described) {
        my $command = $known{$directive->{name}} or next;

        is($directive->{context}, $command->{context},
           "docs/$name.md: the context of $directive->{name}");
        push @defaults, $directive->{default} if $directive->{default} ne '-';
    }

    # No variable that does not exist, of this module or of another.

    for my $variable (sort { $a cmp $b }
                      keys %{{ map { $_ => 1 }
                               slurp($page) =~ /\$(gateway_\w+)/g }})
    {
        ok(exists $variables{$variable}
           || grep({ /_$/ && index($variable, $_) == 0 } keys %variables),
           "docs/$name.md: \$$variable");
    }
}

SKIP: {
    skip('no nginx that loads the modules', 1)
        unless -e "$ROOT/build/modules.conf" && nginx_test("events {}\n");

    my ($good, $output) = nginx_test(complete('http', join "\n", @defaults));

    ok($good, 'nginx -t takes the defaults') or diag($output);
}

done_testing();


# The names and contexts of a command table, without blocks' own lines.

sub commands {
    my ($source) = @_;

    my @commands;

    while ($source =~ /\{\s*ngx_string\("(gateway_\w+)"\),\s*
                       (NGX_\w+(?:\s*\|\s*NGX_\w+)*),\s*ngx_/gx)
    {
        my ($name, $flags) = ($1, $2);
        my @in = map { $contexts{$_} // () } split /\s*\|\s*/, $flags;

        push @commands, { name => $name, context => join(', ', @in) } if @in;
    }

    return @commands;
}


sub described {
    my ($text) = @_;

    my @directives;

    while ($text =~ /^\#\#\# (gateway_\w+)\n\n((?: {4}.*\n)+)/mg) {
        my ($name, $head) = ($1, $2);
        my ($default) = $head =~ /^ +Default: +(.*)$/m;
        my ($context) = $head =~ /^ +Context: +(.*)$/m;

        push @directives, { name => $name, default => $default,
                            context => $context };
    }

    return @directives;
}

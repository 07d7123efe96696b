#!/usr/bin/perl

# What the pages point to is there: files, headings, make's targets.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Basename qw( dirname );
use NgxGatewayDocs;
use Test::More;

my $makefile = slurp("$ROOT/Makefile");
my %targets = map { $_ => 1 } $makefile =~ /^([a-z][a-z-]*)(?=[^=\n]*:(?!=))/mg;

for my $page (pages()) {
    my $text = slurp("$ROOT/$page");
    my @dead;

    for my $link ($text =~ /\]\(([^)\s]+)\)/g) {
        next if $link =~ /^https:/;

        my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
        my $file = $path eq '' ? "$ROOT/$page"
                               : dirname("$ROOT/$page") . "/$path";

        if (!-e $file || (defined $anchor && !has_heading($file, $anchor))) {
            push @dead, $link;
        }
    }

    is("@dead", '', "$page: links");

    my @unknown = grep { !$targets{$_} }
                  $text =~ /(?:^    |`)(?:sudo )?make ([a-z][a-z-]*)/mg;

    # "make modules" is of nginx's own makefile

    is(join(' ', grep { $_ ne 'modules' } @unknown), '',
       "$page: make's targets");
}

done_testing();


sub has_heading {
    my ($file, $anchor) = @_;

    for my $heading (slurp($file) =~ /^#+ (.*)$/mg) {
        my $id = lc $heading;

        $id =~ s/[^\w -]//g;
        $id =~ s/ /-/g;
        return 1 if $id eq $anchor;
    }

    return 0;
}

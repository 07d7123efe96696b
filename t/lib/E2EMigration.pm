package E2EMigration;

# conf.example/migration.conf, with two workers, and services of a test's own
# for it.
#
#     start(...)       as E2EExample's, and percent => { catalog => 10, ... };
#                      returns that
#     set(GATEWAY, catalog => 20, ...)  other shares, and a reload
#     client(GATEWAY)  a connection, E2EClient
#     letter(ANSWER)   who has answered: the first of a name, "!" for errors
#     entry(GATEWAY, FIELDS)  the last that the log has with these values
#     service(NAME, PATH => ANSWER, ...)  a NgxGatewayBackend that answers with
#                      its name; port => PORT as there
#     heads(SERVICE, PATH), methods(SERVICE, PATH)  what it was asked

use strict;
use warnings;

use E2EClient ();
use E2EExample ();
use NgxGatewayBackend qw( json );

use base 'Exporter';

our @EXPORT = qw( start set client letter entry service heads methods );


sub start {
    my (%o) = @_;

    my %percent = %{ delete $o{percent} // {} };
    my $edit = delete $o{edit} // sub {};

    return E2EExample->start('migration', jwks => [ 'rsa' ], %o, edit => sub {
        my ($file) = @_;

        s/^worker_processes\s+auto;/worker_processes 2;/m;
        percent(%percent) if $file eq 'migration/percent';
        $edit->($file);
    });
}


sub percent {
    my (%percent) = @_;

    for my $name (keys %percent) {
        s/^\Q$name\E\s+\K\S+(?=;)/$percent{$name}/m or die "no $name\n";
    }
}


sub set {
    my ($g, %percent) = @_;

    $g->edit('migration/percent', sub { percent(%percent) });
    $g->reload or die "no reload\n";

    return;
}


sub client {
    my ($g) = @_;

    return E2EClient->new($g->port(8140)) // die "no connection\n";
}


sub letter {
    my ($answer) = @_;

    my ($from) = $answer->{body} =~ /"from":"(\w)/;

    return $answer->{status} == 200 ? $from // '?' : '!';
}


sub entry {
    my ($g, %fields) = @_;

    my @entries = $g->logged(%fields);

    return $entries[-1] // {};
}


# Each answers with its name, fails where the path says so, and counts.

sub service {
    my ($name, %more) = @_;

    my $good = json(qq({"from":"$name"}));

    return NgxGatewayBackend->new(
        (map { ("/catalog/$_" => $good) }
         qw( good body head 404 500 502 503 504 garbage close reset hang )),
        '/catalog/a%2fb' => $good, '/orders/good' => $good, %more);
}


sub heads {
    my ($service, $path) = @_;

    return map { $_->{head} =~ s/\\n/\n/gr } $service->seen($path);
}


sub methods {
    my ($service, $path) = @_;

    return join ' ', map { /^(\w+)/ } heads($service, $path);
}


1;

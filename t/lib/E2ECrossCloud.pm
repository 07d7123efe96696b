package E2ECrossCloud;

# What the tests of conf.example/cross-cloud.conf have in common, beside
# E2EExample.  A CLOUD is "east" or "west".
#
#     token(CLOUD)     the field of a request with a token of its issuer
#     is_problem(ANSWER)  a test: the body is a problem of the answer's status
#     access_log(GATEWAY, CLOUD)  its text
#     logged(GATEWAY, CLOUD, FIELDS)  as E2EExample's, of that log

use strict;
use warnings;

use JSON::PP ();
use NgxGatewayJWT qw( jwt );
use Test::More ();

use base 'Exporter';

our @EXPORT_OK = qw( token is_problem access_log logged );


sub token {
    my ($issuer) = @_;

    my $token = jwt({ iss => "https://id.$issuer.example.com" },
                    key => $issuer eq 'east' ? 'rsa' : 'p256');

    return (Authorization => "Bearer $token");
}


sub is_problem {
    my ($answer) = @_;

    my $body = eval { JSON::PP::decode_json($answer->{body}) } // {};

    return Test::More::ok(
        ($answer->{headers}{'content-type'} // '') eq 'application/problem+json'
        && $body->{status} == $answer->{status}
        && $body->{title} && $body->{title} ne 'Error'
        && $body->{instance} =~ /^[0-9a-f]{32}$/, '... as a problem')
        || Test::More::diag($answer->{body});
}


sub access_log {
    my ($gateway, $cloud) = @_;

    local $gateway->{log} = "cross-cloud_${cloud}";

    return $gateway->access_log;
}


sub logged {
    my ($gateway, $cloud, @fields) = @_;

    local $gateway->{log} = "cross-cloud_${cloud}";

    return $gateway->logged(@fields);
}


1;

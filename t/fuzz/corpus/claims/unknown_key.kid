{"alg":"ES256","kid":"other"}
{"iss":"https://any.example"}
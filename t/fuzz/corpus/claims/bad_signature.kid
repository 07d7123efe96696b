{"alg":"HS256","kid":"other"}
{"iss":"https://any.example"}
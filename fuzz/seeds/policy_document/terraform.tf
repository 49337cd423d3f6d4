data "aws_iam_policy_document" "costs" {
  statement {
    sid       = "Costs"
    actions   = ["ce:Get*", "${var.service}:List*"]
    resources = ["arn:aws:s3:::&{aws:username}/*"]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.eu-central-1.amazonaws.com"]
    }
  }
}
resource "aws_iam_policy" "costs" {
  policy = jsonencode({ Statement = [{ Effect = "Allow", Action = "ce:Get*", Resource = "*" }] })
}
resource "aws_iam_role_policy_attachment" "costs" {
  policy_arn = aws_iam_policy.costs.arn
}

//! The least that billing ingest needs of AWS.

use super::super::verdict::{Minimal, Verdict};

/// Services of costs, usage, prices and accounts.
const BILLING: [&str; 26] = [
    "account",
    "aws-portal",
    "bcm-dashboards",
    "bcm-data-exports",
    "bcm-pricing-calculator",
    "bcm-recommended-actions",
    "billing",
    "billingconductor",
    "budgets",
    "ce",
    "compute-optimizer",
    "consolidatedbilling",
    "cost-optimization-hub",
    "cur",
    "freetier",
    "invoicing",
    "mapcredits",
    "organizations",
    "payments",
    "pricing",
    "purchase-orders",
    "savingsplans",
    "sustainability",
    "tag",
    "tax",
    "sts",
];

/// Whether names and settings of this service are billing's own.
pub(super) fn is_billing(service: &str) -> bool {
    BILLING.contains(&service)
}

/// A policy that reads billing exports and nothing else.
pub(super) fn policy(_: &Verdict) -> Minimal {
    Minimal {
        about:
            "Replace EXPORT-BUCKET, EXPORT-PREFIX and KEY-ARN; leave out the last two statements where they are not \
                needed. With `--export s3://EXPORT-BUCKET/EXPORT-PREFIX` it is read-only with kms:Decrypt as a named \
                exception, and billing-scoped."
                .to_owned(),
        text: POLICY.to_owned(),
    }
}

/// As text, so that the order of its statements is the one that a reader wants.
pub(super) const POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DescribeExports",
      "Effect": "Allow",
      "Action": ["bcm-data-exports:Get*", "bcm-data-exports:List*", "cur:DescribeReportDefinitions"],
      "Resource": "*"
    },
    {
      "Sid": "FindExportFiles",
      "Effect": "Allow",
      "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
      "Resource": "arn:aws:s3:::EXPORT-BUCKET"
    },
    {
      "Sid": "ReadExportFiles",
      "Effect": "Allow",
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::EXPORT-BUCKET/EXPORT-PREFIX/*"
    },
    {
      "Sid": "DecryptExportFiles",
      "Effect": "Allow",
      "Action": "kms:Decrypt",
      "Resource": "KEY-ARN",
      "Condition": { "StringLike": { "kms:ViaService": "s3.*.amazonaws.com" } }
    },
    {
      "Sid": "CostsAndAccounts",
      "Effect": "Allow",
      "Action": ["ce:Get*", "organizations:ListAccounts", "budgets:ViewBudget"],
      "Resource": "*"
    }
  ]
}
"#;

"""OpenFeature Remote Evaluation Protocol (OFREP): flags for OpenFeature clients of any language."""

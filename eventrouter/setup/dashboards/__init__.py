"""The dashboards: the questions that they answer, and their form in Kibana."""

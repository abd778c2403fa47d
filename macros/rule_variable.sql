{% macro rule_variable(name) %}
    {%- set value = var(name) -%}
    {%- set text = value | string -%}
    {%- set is_decimal = text.replace('.', '', 1).isdecimal() -%}
    {%- if name == 'unknown_label' -%}
        {%- set expected = 'a text that is not blank' -%}
        {%- set is_met = value is string and value | trim != '' -%}
    {%- elif name == 'empty_words' -%}
        {%- set expected = 'a list of texts' -%}
        {%- set is_met = value is iterable and value is not string
            and value is not mapping and value | reject('string') | list == [] -%}
    {%- elif name == 'reject_sales_before_opening' -%}
        {%- set expected = 'true or false, without quotes' -%}
        {%- set is_met = value is boolean -%}
    {%- elif name in ('future_days_allowed', 'too_bad_min_rows') -%}
        {%- set expected = 'a whole number of at least 0' -%}
        {%- set is_met = text.isdecimal() -%}
    {%- elif name == 'total_cost_tolerance' -%}
        {%- set expected = 'a decimal of at least 0' -%}
        {%- set is_met = is_decimal -%}
    {%- elif name == 'too_bad_share' -%}
        {%- set expected = 'a decimal from 0 to 1' -%}
        {%- set is_met = is_decimal and value | float <= 1 -%}
    {%- endif -%}
    {#- a linter knows neither values nor exceptions -#}
    {%- if exceptions is defined and not is_met -%}
        {{ exceptions.raise_compiler_error(
            'The variable ' ~ name ~ ' of dbt_project.yml cannot be used. Expected: '
            ~ (expected or 'a name that rule_variable knows') ~ '. Found: '
            ~ value | tojson
        ) }}
    {%- endif -%}
    {{ return(value) }}
{% endmacro %}

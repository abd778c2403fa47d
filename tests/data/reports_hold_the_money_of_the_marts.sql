-- If this fails, a report or a mart holds other sales than the files that count: of all
-- months, so that a month that a build should have touched shows too.
{%- set relations = [
    ('fct_delivered_files', 'rows_valid', 'amount_valid'),
    ('customers_data_mart', 'sales_count', 'total_sales'),
    ('sales_team_data_mart', 'sales_count', 'total_sales'),
    ('rpt_sales_by_customer', 'sales_count', 'total_sales'),
    ('rpt_sales_by_store_and_month', 'sales_count', 'total_sales'),
    ('rpt_sales_by_seller_and_month', 'sales_count', 'total_sales'),
] %}

with

totals as (
    {% for name, rows_sum, amount in relations %}
    select
        '{{ name }}' as relation,
        coalesce(sum({{ rows_sum }}), 0) as sales_count,
        coalesce(sum({{ amount }}), 0) as total_sales
    from {{ ref(name) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

)

select
    sort_array(
        collect_list(concat(relation, ': ', sales_count, ' rows, ', total_sales))
    ) as totals_found

from totals

having
    min(sales_count) <> max(sales_count)
    or min(total_sales) <> max(total_sales)
